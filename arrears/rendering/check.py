"""A template is checked before it is ever rendered: every name, attribute and filter, in every branch."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from jinja2 import nodes

# Any stands for a type that is not followed further.
Scope = dict[str, Any]
Signature = tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class _Loop:
    index: int
    first: bool
    last: bool
    length: int


_SWALLOWED: Final = re.compile(r"[;(\[]|\.[^\W\d]")
_STATEMENTS: Final = "if, for, set, block, extends and include"


class Complaint(Exception):
    """What is wrong with a template, and on which line."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


def field_types(cls: Any) -> dict[str, Any]:
    """A dataclass's fields and their resolved types."""
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


class Checker:
    """Follows types through a template; `filters` maps a filter to the type it takes and the type it gives."""

    def __init__(self, names: Mapping[str, Any], filters: Mapping[str, Signature], *, typst: bool = False) -> None:
        self._names = dict(names)
        self._typst = typst
        self._filters = filters
        self.references: list[tuple[int, str]] = []

    def check(self, template: nodes.Template) -> None:
        """Raises Complaint at the first thing the context does not have. Collects other templates named."""
        self._body(template.body, dict(self._names))

    def _body(self, body: Sequence[nodes.Node], scope: Scope) -> None:
        for node in body:
            self._statement(node, scope)

    def _statement(self, node: nodes.Node, scope: Scope) -> None:
        match node:
            case nodes.Output():
                for part in node.nodes:
                    self._printed(part, scope)
                if self._typst:
                    _no_swallowed_sign(node.nodes)
            case nodes.Extends() | nodes.Include():
                self._reference(node)
            case nodes.Block():
                self._body(node.body, dict(scope))
            case nodes.If():
                self._type(node.test, scope)
                self._body(node.body, scope | _narrowed(node.test, scope))
                for body in (node.elif_, node.else_):
                    self._body(body, scope)
            case nodes.For():
                self._loop(node, scope)
            case nodes.Assign(target=nodes.Name(name=name)):
                scope[name] = self._type(node.node, scope)
            case _:
                raise Complaint(node.lineno, f"{type(node).__name__} is not supported; expected {_STATEMENTS}")

    def _reference(self, node: nodes.Extends | nodes.Include) -> None:
        if not isinstance(node.template, nodes.Const) or not isinstance(node.template.value, str):
            raise Complaint(node.lineno, "the other template must be named by a plain string")
        self.references.append((node.lineno, node.template.value))

    def _loop(self, node: nodes.For, scope: Scope) -> None:
        if not isinstance(node.target, nodes.Name):
            raise Complaint(node.lineno, "a loop has one variable")
        items = self._type(node.iter, scope)
        if items is not Any and get_origin(items) is not tuple:
            raise Complaint(node.lineno, f"a loop needs a list, got {_name(items)}")
        item = Any if items is Any else get_args(items)[0]
        inner = {**scope, node.target.name: item, "loop": _Loop}
        if node.test is not None:
            self._type(node.test, inner)
        self._body(node.body, inner)
        self._body(node.else_, dict(scope))

    def _printed(self, node: nodes.Node, scope: Scope) -> None:
        if isinstance(node, nodes.TemplateData):
            return
        match node:
            case nodes.Call(node=nodes.Name(name="super"), args=[], kwargs=[]):
                return
            case nodes.Expr():
                kind = self._type(node, scope)
            case _:
                raise Complaint(node.lineno, f"{type(node).__name__} cannot be printed")
        if kind not in (Any, str, int):
            fit = [name for name, (takes, _) in self._filters.items() if takes is kind]
            hint = f"; use |{' or |'.join(fit)}" if fit else ""
            raise Complaint(node.lineno, f"{_name(kind)} cannot be printed as it is{hint}")

    def _type(self, node: nodes.Node, scope: Scope) -> Any:
        match node:
            case nodes.Const():
                return str if isinstance(node.value, str) else int if isinstance(node.value, int) else Any
            case nodes.Name():
                return self._variable(node, scope)
            case nodes.Getattr():
                return self._attribute(node, scope)
            case nodes.Filter():
                return self._filter(node, scope)
            case nodes.CondExpr():
                self._type(node.test, scope)
                options = [self._type(part, scope) for part in (node.expr1, node.expr2) if part is not None]
                return options[0] if all(option is options[0] for option in options) else Any
            case nodes.Test(name=name) if name != "none":
                raise Complaint(node.lineno, f"unknown test {name!r}; known: none")
            case nodes.And(left=left, right=right):
                self._type(left, scope)
                self._type(right, scope | _narrowed(left, scope))
                return bool
            case nodes.Compare() | nodes.Operand() | nodes.Not() | nodes.Or() | nodes.Test():
                for child in node.iter_child_nodes():
                    self._type(child, scope)
                return bool
            case _:
                raise Complaint(node.lineno, f"{type(node).__name__} is not supported in an expression")

    def _variable(self, node: nodes.Name, scope: Scope) -> Any:
        if node.name not in scope:
            raise Complaint(node.lineno, f"unknown variable {node.name!r}; known: {', '.join(sorted(self._names))}")
        return scope[node.name]

    def _attribute(self, node: nodes.Getattr, scope: Scope) -> Any:
        owner = self._type(node.node, scope)
        if owner is Any:
            return Any
        known = field_types(owner) if is_dataclass(owner) else {}
        if node.attr not in known:
            listed = f"known: {', '.join(known)}" if known else "it has none"
            raise Complaint(node.lineno, f"unknown attribute {node.attr!r} of {_name(owner)}; {listed}")
        return known[node.attr]

    def _filter(self, node: nodes.Filter, scope: Scope) -> Any:
        if node.name not in self._filters:
            raise Complaint(node.lineno, f"unknown filter {node.name!r}; known: {', '.join(sorted(self._filters))}")
        if node.node is None or node.args or node.kwargs:
            raise Complaint(node.lineno, f"filter {node.name!r} takes no arguments and is written after a value")
        takes, gives = self._filters[node.name]
        given = self._type(node.node, scope)
        if given is not Any and takes not in _options(given):
            raise Complaint(node.lineno, f"filter {node.name!r} takes {_name(takes)}, got {_name(given)}")
        return gives


def _no_swallowed_sign(parts: Sequence[nodes.Node]) -> None:
    """Typst takes `;`, `(`, `[` and `.word` after `#"value"` as code: a semicolon would vanish from the letter."""
    for before, value, after in zip(parts, parts[1:], parts[2:], strict=False):
        if isinstance(before, nodes.TemplateData) and isinstance(after, nodes.TemplateData):
            swallowed = _SWALLOWED.match(after.data)
            if before.data.endswith("#") and swallowed:
                raise Complaint(value.lineno, f"Typst would read {swallowed[0]!r} after this value as code")


def _narrowed(test: nodes.Node, scope: Scope) -> Scope:
    """What is known to be there where `test` holds: names tested by themselves, or joined by `and`."""
    match test:
        case nodes.And(left=left, right=right):
            return _narrowed(left, scope) | _narrowed(right, scope)
        case nodes.Name(name=name) if name in scope:
            there = [kind for kind in _options(scope[name]) if kind is not types.NoneType]
            return {name: there[0]} if len(there) == 1 else {}
        case _:
            return {}


def _options(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _name(kind: Any) -> str:
    return "a list" if get_origin(kind) is tuple else getattr(kind, "__name__", str(kind))
