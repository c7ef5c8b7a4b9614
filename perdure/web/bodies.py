"""Members of the bodies of requests, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from perdure.errors import UsageError
from perdure.graph.values import Value, is_dict, is_list

NAMES_SCHEMA: Final[Mapping[str, Any]] = {"type": "array", "items": {"type": "string"}}
"""The schema of what `names` reads; those of `values`, `string` and `flag` follow."""
VALUES_SCHEMA: Final[Mapping[str, Any]] = {"type": "object"}
STRING_SCHEMA: Final[Mapping[str, Any]] = {"type": "string"}
FLAG_SCHEMA: Final[Mapping[str, Any]] = {"type": "boolean"}


def check_members(body: Mapping[str, Value], schema: Mapping[str, Any]) -> None:
    """Raises UsageError for a member that the schema of the body does not have."""
    unknown = body.keys() - schema["properties"].keys()
    if unknown:
        raise UsageError(f"unknown member {min(unknown)!r}", hint=", ".join(schema["properties"]))


def names(body: Mapping[str, Value], name: str) -> list[str]:
    """A list of strings, empty where it is missing. Raises UsageError."""
    value = body.get(name, [])
    if not is_list(value) or not all(isinstance(item, str) for item in value):
        raise UsageError(f"{name} is not a list of strings")
    return [str(item) for item in value]


def values(body: Mapping[str, Value], name: str) -> dict[str, Value]:
    """An object, empty where it is missing. Raises UsageError."""
    value = body.get(name, {})
    if not is_dict(value):
        raise UsageError(f"{name} is not an object")
    return value


def string(body: Mapping[str, Value], name: str, default: str = "") -> str:
    """A string. Raises UsageError."""
    value = body.get(name, default)
    if not isinstance(value, str):
        raise UsageError(f"{name} is not a string")
    return value


def flag(body: Mapping[str, Value], name: str) -> bool:
    """Whether a member is true."""
    return body.get(name) is True


def amount(body: Mapping[str, Value], name: str, most: float) -> float:
    """A number from 0 to `most`, which it is where it is missing. Raises UsageError."""
    value = body.get(name, most)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise UsageError(f"{name} is not a number from 0 to {most:g}")
    return value
