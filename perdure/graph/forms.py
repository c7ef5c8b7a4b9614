"""Forms: the subset of JSON Schema in which humanInputAgent asks for an answer.

A form is one level of fields, as MCP's elicitation has it: strings, numbers, booleans, one of several
values, or several of them. Every display (a terminal, a page, a chat) can show that, and an answer is
checked in time proportional to its size.

Rejected: all of JSON Schema. Answers are validated in a workflow task, where a `pattern` could take longer
than the task may, and no display can show nested schemas in general.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Final

from perdure.errors import Problem
from perdure.graph.javascript import utf16_length
from perdure.graph.values import Value, is_dict, is_list, is_number, number

MAX_FORM_FIELD_COUNT: Final = 100
"""Fields of a form."""

FORM_KEYS: Final = ("type", "properties", "required", "title", "description")
"""What the form itself may say."""

_FORM_HINT = "docs/people.md lists what a form may say"


def form_problems(schema: Value, place: str) -> Iterator[Problem]:
    """What is wrong with the form at `place`; nothing for one that `form_refusal` accepts answers for."""
    if not is_dict(schema):
        yield Problem("form", place, "the schema of a form is an object", _FORM_HINT)
        return
    for key in schema:
        if key not in FORM_KEYS:
            hint = f"it may say {', '.join(FORM_KEYS)}"
            yield Problem("form", f"{place}.{key}", f"a form cannot say {key!r}", hint)
    if schema.get("type", "object") != "object":
        hint = "use `choices` for one value"
        yield Problem("form", f"{place}.type", "the type of a form is object", hint)
    yield from _properties_problems(schema, place)


def _properties_problems(schema: Mapping[str, Value], place: str) -> Iterator[Problem]:
    fields, required = schema.get("properties", {}), schema.get("required", [])
    where = f"{place}.properties"
    if not is_dict(fields):
        yield Problem("form", where, "properties is an object with a schema for each field", _FORM_HINT)
        return
    if len(fields) > MAX_FORM_FIELD_COUNT:
        yield Problem("form", where, f"a form has at most {MAX_FORM_FIELD_COUNT} fields")
    if not is_list(required) or any(fields and name not in fields for name in required):
        yield Problem("form", f"{place}.required", "required is a list of names of properties")
    for name, field in fields.items():
        for finding in _field_findings(field):
            yield Problem("form", f"{where}.{name}", finding, _FORM_HINT)


def _field_findings(field: Value) -> Iterator[str]:
    if not is_dict(field):
        yield "the schema of a field is an object"
        return
    for key, value in field.items():
        if key not in _FIELD_CHECKS:
            yield f"a field cannot say {key!r}"
        elif not _FIELD_CHECKS[key](value):
            yield f"{key}: {value!r} is not valid for a field"
    if not {"type", "enum", "const"} & field.keys():
        yield "a field has a type, an enum or a const"
    if field.get("type") == "array" and "items" not in field:
        yield "an array has items with an enum, from which several can be chosen"


def _is_enum(values: Value) -> bool:
    return is_list(values) and len(values) > 0 and all(map(_is_scalar, values))


def _is_scalar(value: Value) -> bool:
    return isinstance(value, str | bool) or is_number(value)


def _is_string(value: Value) -> bool:
    return isinstance(value, str)


def _is_items(value: Value) -> bool:
    return is_dict(value) and _is_enum(value.get("enum")) and value.keys() <= {"type", "enum", "title"}


def form_refusal(schema: Mapping[str, Value], answer: Value) -> str | None:
    """Why `answer` does not fill the form, which is free of problems; None if it does."""
    if not is_dict(answer):
        return "the answer must be an object with the fields of the form"
    fields: Mapping[str, Value] = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if name not in answer:
            return f"{name}: is required"
    for name, value in answer.items():
        if fields and name not in fields:
            return f"{name}: there is no such field; there is {', '.join(fields)}"
        refusal = _field_refusal(fields[name], value) if fields else None
        if refusal is not None:
            return f"{name}: {refusal}"
    return None


def _field_refusal(field: Mapping[str, Value], value: Value) -> str | None:
    if "const" in field and not same_value(value, field["const"]):
        return f"must be {field['const']!r}"
    if "enum" in field and not any(same_value(value, choice) for choice in field["enum"]):
        return f"must be one of {', '.join(str(choice) for choice in field['enum'])}"
    kind = field.get("type")
    if kind is not None and not _TYPE_CHECKS[kind](value):
        return f"must be of type {kind}"
    if is_number(value):
        return _outside(value, field, "minimum", "maximum", "")
    if isinstance(value, str):
        limits = _outside(utf16_length(value), field, "minLength", "maxLength", "characters ")
        return limits or _format_refusal(field.get("format"), value)
    return _items_refusal(field, value) if is_list(value) else None


def _items_refusal(field: Mapping[str, Value], values: list[Value]) -> str | None:
    items: Mapping[str, Value] = field.get("items") or {}
    choices: list[Value] = items.get("enum") or []
    for value in values:
        if not any(same_value(value, choice) for choice in choices):
            return f"each must be one of {', '.join(str(choice) for choice in choices)}"
    return _outside(len(values), field, "minItems", "maxItems", "items ")


def _outside(number: float, field: Mapping[str, Value], least: str, most: str, unit: str) -> str | None:
    if least in field and number < field[least]:
        return f"{unit}must be at least {field[least]:g}"
    if most in field and number > field[most]:
        return f"{unit}must be at most {field[most]:g}"
    return None


def _format_refusal(kind: Value, text: str) -> str | None:
    check = _FORMAT_CHECKS.get(kind) if isinstance(kind, str) else None
    return None if check is None or check(text) else f"must be in the format {kind}"


def same_value(one: Value, other: Value) -> bool:
    """Whether two scalars are equal, and both or neither a boolean: Python takes true for 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _is_date(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_date_time(text: str) -> bool:
    try:
        return "T" in text and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)*")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")

_FORMAT_CHECKS: Final[Mapping[str, Callable[[str], bool]]] = {
    "date": _is_date,
    "date-time": _is_date_time,
    "email": lambda text: _EMAIL.fullmatch(text) is not None,
    "uri": lambda text: _URI.fullmatch(text) is not None,
}

_TYPE_CHECKS: Final[Mapping[str, Callable[[Value], bool]]] = {
    "string": _is_string,
    "number": is_number,
    "integer": lambda value: is_number(value) and float(number(value)).is_integer(),
    "boolean": lambda value: isinstance(value, bool),
    "array": is_list,
}

_FIELD_CHECKS: Final[Mapping[str, Callable[[Value], bool]]] = {
    "type": lambda value: value in (*_TYPE_CHECKS,),
    "title": _is_string,
    "description": _is_string,
    "default": lambda value: _is_scalar(value) or is_list(value),
    "enum": _is_enum,
    "const": _is_scalar,
    "format": lambda value: value in (*_FORMAT_CHECKS,),
    "minimum": is_number,
    "maximum": is_number,
    "minLength": is_number,
    "maxLength": is_number,
    "items": _is_items,
    "minItems": is_number,
    "maxItems": is_number,
}
"""What a field may say."""
