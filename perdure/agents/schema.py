"""Short spellings of the JSON Schemas that agents declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]


def fields(*required: str, **properties: Schema) -> Schema:
    """A dictionary with these properties, of which `required` must be there; others may be."""
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return {**schema, "required": list(required)} if required else schema


def anything(description: str = "") -> Schema:
    """Any value."""
    return _described({}, description)


def text(description: str = "") -> Schema:
    """A string."""
    return _described({"type": "string"}, description)


def number(description: str = "") -> Schema:
    """A number."""
    return _described({"type": "number"}, description)


def flag(description: str = "") -> Schema:
    """A boolean."""
    return _described({"type": "boolean"}, description)


def array(description: str = "", items: Schema | None = None) -> Schema:
    """A list, of `items` if set."""
    return _described({"type": "array", "items": items} if items else {"type": "array"}, description)


def mapping(description: str = "") -> Schema:
    """A dictionary with any keys."""
    return _described({"type": "object"}, description)


def one_of(*values: str) -> Schema:
    """One of these strings."""
    return {"enum": list(values)}


def either(*schemas: Schema) -> Schema:
    """Whatever fits one of the schemas."""
    return {"anyOf": list(schemas)}


def _described(schema: dict[str, Any], description: str) -> Schema:
    return {**schema, "description": description} if description else schema
