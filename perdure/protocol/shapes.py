"""The shape of the fields of a record, checked where it is read: any client of the server can send one.

The checks are derived from the types that the class declares, once for each class; a separate schema
could disagree with it. Values of the language have no shape, so a check is one or two `isinstance` for each
field, and no check looks deeper than the type of the field.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeAlias, Union, cast, get_args, get_origin, get_type_hints

from perdure.errors import MalformedPayload
from perdure.graph.deferred import Deferred
from perdure.graph.values import is_dict

Check: TypeAlias = Callable[[Any], bool]

_NUMBERS: Final = {int: int, float: (int, float)}
_SEQUENCES: Final = (list, tuple)
_EXACT: Final = {str: frozenset({str}), int: frozenset({int}), float: frozenset({int, float})}


def check_fields(kind: type[Any], data: Mapping[str, Any], place: str = "") -> None:
    """Raises MalformedPayload where `data` does not have the fields of a record of class `kind`.

    `place` comes before the name of a field in the message. Fields that the class does not have pass.
    """
    required, checks = _checks(kind)
    if not is_dict(data):
        raise MalformedPayload(f"{place or kind.__name__}: {_article(data)} is not an object")
    for name, value in data.items():
        check = checks.get(name)
        if check is not None and not check(value):
            raise MalformedPayload(
                f"{place}{name}: a value of type {type(value).__name__} does not belong here"
            )
    if not required <= data.keys():
        raise MalformedPayload(f"{place or kind.__name__}: {', '.join(required - data.keys())} is missing")


def _article(value: Any) -> str:
    return f"a value of type {type(value).__name__}"


@cache
def _checks(kind: type[Any]) -> tuple[frozenset[str], Mapping[str, Check]]:
    """The fields that must be there, and the checks of those that are."""
    hints = get_type_hints(kind)
    may_be_stored = getattr(kind, "MAY_BE_STORED", False)
    required: set[str] = set()
    checks: dict[str, Check] = {}
    for item in fields(kind):
        if item.metadata.get("inline"):
            continue  # its fields are checked where it is read itself
        if item.default is MISSING and item.default_factory is MISSING:
            required.add(item.name)
        check = _check(hints[item.name], may_be_stored)
        if check is not None:
            checks[item.name] = check
    return frozenset(required), checks


def _check(hint: Any, may_be_stored: bool) -> Check | None:
    """A check for the type `hint`; None where any value has it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _any_of([_check(argument, may_be_stored) for argument in arguments])
    if hint is Any:
        return None
    if hint is NoneType:
        return lambda value: value is None
    if origin is Literal:
        return lambda value: isinstance(value, str) and value in arguments
    if origin is Mapping or is_dataclass(hint):
        return _stored_or(_mapping(_members(arguments[1]) if arguments else None), may_be_stored)
    if origin is Sequence or (origin is tuple and arguments[1:] == (...,)):
        return _stored_or(_sequence(_members(arguments[0])), may_be_stored)
    if origin is tuple:
        return _tuple([_check(argument, False) for argument in arguments])
    numbers = _NUMBERS.get(hint)
    if numbers is not None:
        return lambda value: isinstance(value, numbers) and not isinstance(value, bool)
    return lambda value: isinstance(value, hint)


def _any_of(checks: Sequence[Check | None]) -> Check | None:
    present = [check for check in checks if check is not None]
    if len(present) < len(checks):
        return None
    if len(present) == 2:  # nearly all: a type, or null
        first, second = present
        return lambda value: first(value) or second(value)
    return lambda value: any(check(value) for check in present)


def _stored_or(check: Check, may_be_stored: bool) -> Check:
    return (lambda value: check(value) or isinstance(value, Deferred)) if may_be_stored else check


def _members(hint: Any) -> Callable[[Collection[Any]], bool] | None:
    """A check for the items of a list, or the values of an object; None where they may be anything.

    There may be thousands, such as the answers of a segment. So types that are enough by themselves are
    looked at first, all at once.
    """
    check = _check(hint, False)
    if check is None:
        return None
    exact = frozenset({list}) if check is _is_sequence else _EXACT.get(hint, frozenset[type]())
    return lambda items: exact.issuperset(map(type, items)) or all(map(check, items))


def _mapping(are_members: Callable[[Collection[Any]], bool] | None) -> Check:
    if are_members is None:
        return is_dict
    return lambda value: is_dict(value) and are_members(value.values())


def _is_sequence(value: Any) -> bool:
    """Whether it is a list, or a tuple of what has not travelled."""
    return isinstance(value, _SEQUENCES)


def _sequence(are_items: Callable[[Collection[Any]], bool] | None) -> Check:
    if are_items is None:
        return _is_sequence
    return lambda value: _is_sequence(value) and are_items(value)


def _tuple(items: Sequence[Check | None]) -> Check:
    def check(value: Any) -> bool:
        return (
            isinstance(value, _SEQUENCES)
            and len(cast("Sequence[Any]", value)) == len(items)
            and all(
                item is None or item(part)
                for item, part in zip(items, cast("Sequence[Any]", value), strict=True)
            )
        )

    return check
