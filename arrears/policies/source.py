"""Reading a policy file: YAML without its surprises."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from arrears.policies.document import Document
from arrears.policies.problems import PolicyError, Problem

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MOST_NESTED = 20


def read_document(path: Path) -> Document:
    """The file at `path`. What YAML misreads is reported in the document and raised by `settle`.

    Raises PolicyError when there is no such file, or when it is no text or no YAML.
    """
    document = Document(str(path))
    try:
        document.text = path.read_bytes().decode("utf-8-sig")
        node, fault = _composed(document.text)
    except FileNotFoundError:
        raise _unreadable(document, 0, "no such file") from None
    except IsADirectoryError:
        raise _unreadable(document, 0, "is a folder; expected a YAML file") from None
    except OSError as error:
        raise _unreadable(document, 0, f"cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.reader.ReaderError):
        raise _unreadable(document, 0, "is no text; expected YAML in UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        detail = f"is no YAML: {error.problem or error.context}"
        raise _unreadable(document, mark.line + 1 if mark else 0, detail) from None
    if fault is not None:
        raise _unreadable(document, *fault)
    if node is None:
        raise _unreadable(document, 0, "is empty")
    if not isinstance(node, yaml.MappingNode):
        raise _unreadable(document, node.start_mark.line + 1, "must be a block of keys, such as `version: 1`")
    document.fill(node)
    return document


@lru_cache(maxsize=64)
def _composed(text: str) -> tuple[yaml.Node | None, tuple[int, str] | None]:
    """What the text says, or the line and name of what is not wanted in it. Nobody changes the node: it is shared."""
    if fault := _unwanted(text):
        return None, fault
    return yaml.compose(text, Loader=_LOADER), None  # pyright: ignore[reportUnknownMemberType]


def _unwanted(text: str) -> tuple[int, str] | None:
    """The line and name of what YAML offers and policy files do without.

    An alias puts one line in several places and lets a small file grow without bound; nesting without
    end overflows the stack of libyaml's composer, which ends the process.
    """
    depth = 0
    events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)  # pyright: ignore[reportUnknownMemberType]
    for event in events:
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            return line, f"*{event.anchor} is an alias; policy files do without, write it out"
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MOST_NESTED:
                return line, f"is nested more than {_MOST_NESTED} deep"
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None


def _unreadable(document: Document, line: int, message: str) -> PolicyError:
    return PolicyError([Problem(document.file, line, message)])
