"""Pydantic's findings about a place in a document, said in plain words."""

from __future__ import annotations

import types
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from arrears.policies.document import Document, Place
from arrears.policies.problems import unknown_key

M = TypeVar("M", bound="Row")


class Row(BaseModel):
    """A block of keys in a policy file: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def check(document: Document, place: Place, model: type[M]) -> M | None:
    """The block at `place` as `model`, or None after every fault in it has been reported to `document`."""
    value = document.at(place)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            _report(document, place, model, fault)
        return None


def _report(document: Document, base: Place, model: type[Row], fault: ErrorDetails) -> None:
    inner = fault["loc"]
    place = (*base, *inner)
    if fault["type"] == "extra_forbidden":
        owner = _model_at(model, inner[:-1])
        known = owner.model_fields if owner else ()
        document.report(place, unknown_key(str(inner[-1]), known, _inside(inner[:-1])), of_key=True)
    elif place in document.misread:
        pass  # already reported, with the reason
    elif fault["type"] == "missing":
        document.report(place[:-1], f"missing key {inner[-1]!r}{_inside(inner[:-1])}")
    elif fault["type"] == "block":
        document.report(place, fault["msg"])
    else:
        label = _label(inner) or _label(place) or "the file"
        if fault["input"] is None:
            document.report(place, f"{label} is empty")
        else:
            document.report(place, f"{label} {_in_words(fault)}")


def _in_words(fault: ErrorDetails) -> str:
    shown = _shown(fault["input"])
    limits: Mapping[str, Any] = fault.get("ctx", {})
    match fault["type"]:
        case "value":
            return fault["msg"]
        case "string_type":
            return f"{shown} is no text; put it in quotes if it is meant as text"
        case "int_type":
            return f"{shown} is no whole number"
        case "bool_type":
            return f"{shown} is neither true nor false"
        case "date_type":
            return f"{shown} is no date; expected YYYY-MM-DD"
        case "greater_than_equal":
            return f"{shown} is too small; the least is {limits['ge']}"
        case "less_than_equal":
            return f"{shown} is too large; the most is {limits['le']}"
        case "string_too_short" | "too_short":
            return "is empty"
        case "list_type":
            return "must be a list"
        case "model_type" | "dict_type":
            return "must be a block of keys"
        case _:
            return f"{shown}: {fault['msg']}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | date) else repr(value)


def _label(place: Place) -> str:
    """`attempts.most`, `requires[2].done`."""
    label = ""
    for part in place:
        label += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return label.lstrip(".")


def _inside(inner: Place) -> str:
    return f" in {_label(inner)}" if inner else ""


def _model_at(model: type[Row], inner: Place) -> type[Row] | None:
    """The model that describes the block at `inner`, as far as the annotations tell."""
    annotation: Any = model
    for part in inner:
        if isinstance(part, str) and isinstance(annotation, type) and issubclass(annotation, Row):
            field = annotation.model_fields.get(part)
            annotation = _bare(field.annotation) if field else None
        else:
            annotation = _bare(get_args(annotation)[-1]) if get_args(annotation) else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, Row) else None


def _bare(annotation: Any) -> Any:
    """The annotation without `Annotated` and without `| None`."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        options = [option for option in get_args(annotation) if option is not type(None)]
        return _bare(options[0]) if len(options) == 1 else annotation
    return annotation
