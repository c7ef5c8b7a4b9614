"""Records (dataclasses) as the mappings that travel, and back.

A mapping holds what a record holds, one level deep: values of the language are left as they are. Fields
that are records themselves are the exception, by their declared type: a tuple of records travels as a
list of mappings; one record as the mapping of what differs from its defaults, or, where the field is
marked INLINE, among the fields of the record that holds it. Readers skip fields that they do not know
and take defaults for those that are missing, so that versions may be mixed.

The forms are derived from the types once for each class, as two records are made for every call of an
agent; a schema library would check each value again, and values of the language have no schema. What is
read is checked against the same types (shapes.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Final, TypeVar, cast, get_args, get_origin, get_type_hints

from perdure.graph.values import Value
from perdure.protocol.shapes import check_fields

Record = TypeVar("Record")

INLINE: Final[Mapping[str, bool]] = {"inline": True}
"""Metadata of a field whose own fields are inlined into the record that holds it."""

SPARSE: Final[Mapping[str, bool]] = {"sparse": True}
"""Metadata of a field that is only written where it is not what it is by default."""


def to_plain(record: object) -> dict[str, Value]:
    """The fields of a record as a mapping, with lists in place of the tuples of fields that are records."""
    shape = _shape(type(record))
    plain = {name: getattr(record, name) for name in shape.defaults}
    for name, form in shape.nested.items():
        form.write(plain, name)
    return plain


def to_lean(record: object) -> dict[str, Value]:
    """The same, without those that are what they are by default."""
    plain, defaults = to_plain(record), _plain_defaults(type(record))
    return {name: value for name, value in plain.items() if value != defaults[name]}


def from_plain(kind: type[Record], data: Mapping[str, Any]) -> Record:
    """The record of class `kind` from its fields; those it does not know are left out.

    Raises MalformedPayload for anything else.
    """
    check_fields(kind, data)
    shape = _shape(kind)
    fields = data
    if not data.keys() <= shape.defaults.keys():
        fields = {key: value for key, value in data.items() if key in shape.defaults}
    if shape.nested:
        fields = {**fields}
        for name, form in shape.nested.items():
            form.read(fields, name, data)
    return kind(**fields)


@dataclass(frozen=True, slots=True)
class _Form:
    """How a field that holds records travels: both functions change the mapping that they are handed."""

    write: Callable[[dict[str, Any], str], None]
    read: Callable[[dict[str, Any], str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class _Shape:
    """The names of the fields and their defaults, MISSING for none; how those travel that are records."""

    defaults: Mapping[str, Any]
    nested: Mapping[str, _Form]


@cache
def _shape(kind: type[Any]) -> _Shape:
    hints = get_type_hints(kind)
    defaults: dict[str, Any] = {}
    nested: dict[str, _Form] = {}
    for item in fields(kind):
        make = item.default_factory
        defaults[item.name] = item.default if make is MISSING else make()
        is_sparse = bool(item.metadata.get("sparse"))
        form = (
            _sparse(item.default) if is_sparse else _form(hints[item.name], bool(item.metadata.get("inline")))
        )
        if form is not None:
            nested[item.name] = form
    return _Shape(defaults, nested)


@cache
def _plain_defaults(kind: type[Any]) -> Mapping[str, Any]:
    """The defaults as `to_plain` writes them."""
    shape = _shape(kind)
    plain = dict(shape.defaults)
    for name, form in shape.nested.items():
        form.write(plain, name)
    return {**shape.defaults, **plain}


def _form(hint: Any, inline: bool) -> _Form | None:
    arguments = get_args(hint)
    if get_origin(hint) is tuple and len(arguments) == 2 and is_dataclass(arguments[0]):
        return _rows(arguments[0])
    if not (isinstance(hint, type) and is_dataclass(hint)):
        return None
    return _inlined(hint) if inline else _mapping(hint)


def _sparse(default: Any) -> _Form:
    def write(plain: dict[str, Any], name: str) -> None:
        if plain[name] == default:
            del plain[name]

    return _Form(write, lambda fields, name, data: None)


def _rows(kind: Any) -> _Form:
    def write(plain: dict[str, Any], name: str) -> None:
        plain[name] = [to_plain(row) for row in plain[name]]

    def read(fields: dict[str, Any], name: str, data: Mapping[str, Any]) -> None:
        if name in data:
            fields[name] = tuple(from_plain(kind, row) for row in data[name])

    return _Form(write, read)


def _mapping(kind: Any) -> _Form:
    def write(plain: dict[str, Any], name: str) -> None:
        plain[name] = to_lean(plain[name])

    def read(fields: dict[str, Any], name: str, data: Mapping[str, Any]) -> None:
        if name in data:
            fields[name] = from_plain(kind, data[name])

    return _Form(write, read)


def _inlined(kind: Any) -> _Form:
    def write(plain: dict[str, Any], name: str) -> None:
        plain |= {key: _listed(value) for key, value in to_plain(plain.pop(name)).items()}

    def read(fields: dict[str, Any], name: str, data: Mapping[str, Any]) -> None:
        fields[name] = from_plain(kind, data)

    return _Form(write, read)


def _listed(value: Any) -> Any:
    """Tuples, and tuples in a tuple, as lists: the language has no other sequence."""
    if isinstance(value, list | tuple):
        items = cast(Sequence[Any], value)
        return [list(cast(Any, item)) if isinstance(item, tuple) else item for item in items]
    return value
