"""Values that are not here: a large one is kept in a store, and a run holds what says where.

A `Stored` names an object of the store. The others are what references, texts and passThrough make of
one without looking at it: expressions over stored objects, which are computed (`evaluate`) where the
value is needed and the store is at hand.

Why
    A workflow can do no I/O, and what it hands on is written to its history. Documents of megabytes pass
    through a graph of which no node but two looks inside.

Invariants
    To make an expression and evaluate it later gives what evaluating first would have given; a property
    over random graphs holds that (tests/property).
    What can be decided without the value is: a stored value is large, and so never falsy; a list's
    length and an object's few keys are beside its hash.
    Expressions are immutable, and what is known of one is found by its content (known.py of the engine).

Rejected
    Proxies that load on first use: the workflow would do I/O, at a moment that depends on a cache.
    Marked strings or objects in JSON: a value of a user could imitate one. They are told apart by type
    here, and by the payload's metadata on the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from perdure.graph.javascript import utf16_length
from perdure.graph.values import Value, is_dict, is_list

Kind: TypeAlias = Literal["object", "list", "string"]

MANY_KEYS: Final = 32
"""An object of no more members has their names beside its hash."""

LONG_KEY: Final = 64


class Distant:
    """Any value that is not here."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Stored(Distant):
    """An object of the store. `size` is in bytes, `length` counts items, members or UTF-16 units.

    `keys` are the members' names, None where they are many or it is no object.
    """

    digest: str
    size: int
    kind: Kind
    length: int = 0
    keys: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return f"[{self.kind} of {self.size / 1e6:.1f} MB, in the store]"


@dataclass(frozen=True, slots=True)
class Part(Distant):
    """What steps read in `source`: (text, whether it may call functions) each. `cleaned` as in anyInput."""

    source: Distant
    steps: tuple[tuple[str, bool], ...] = ()
    cleaned: bool = False

    def __str__(self) -> str:
        return f"[part of {self.source}]"


@dataclass(frozen=True, slots=True)
class Whole(Distant):
    """A list or an object that is here, with something in it that is not."""

    value: Value

    def __str__(self) -> str:
        return "[with parts in the store]"


@dataclass(frozen=True, slots=True)
class Joined(Distant):
    """A text of the parts, each as String(part) of JavaScript."""

    parts: tuple[Value, ...]

    def __str__(self) -> str:
        return "".join(str(described(part)) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Merged(Distant):
    """A result with passThrough over it."""

    base: Distant
    over: dict[str, Value]

    def __str__(self) -> str:
        return str(self.base)


_DEEP: Final = (Distant, dict, list)


def stored(digest: str, size: int, value: Value) -> Stored:
    """What a run holds of `value`, which is kept under `digest`."""
    if is_dict(value):
        few = len(value) <= MANY_KEYS and all(len(key) <= LONG_KEY for key in value)
        return Stored(digest, size, "object", len(value), tuple(value) if few else None)
    if is_list(value):
        return Stored(digest, size, "list", len(value))
    return Stored(digest, size, "string", utf16_length(str(value)))


def distant_in(value: Value) -> Iterator[Distant]:
    """Everything in `value` that is not here."""
    if is_dict(value) or is_list(value):
        for item in value.values() if is_dict(value) else value:
            if isinstance(item, _DEEP):
                yield from distant_in(item)
    elif isinstance(value, Distant):
        yield value


def replaced(value: Value, replace: Callable[[Distant], Value]) -> Value:
    """A copy of `value` with something in place of everything that is not here."""
    if is_dict(value):
        return {
            key: replaced(item, replace) if isinstance(item, _DEEP) else item for key, item in value.items()
        }
    if is_list(value):
        return [replaced(item, replace) if isinstance(item, _DEEP) else item for item in value]
    return replace(value) if isinstance(value, Distant) else value


def copied(value: Value) -> Value:
    """A copy of the lists and objects in `value`; what is distant stays as it is."""
    return replaced(value, lambda distant: distant)


def described(value: Value) -> Value:
    """`value` for people: what is not here is told in words."""
    return replaced(value, str)


def sources(distant: Distant) -> Iterator[Stored]:
    """The objects that are needed to evaluate it."""
    if isinstance(distant, Stored):
        yield distant
    for part in _parts(distant):
        yield from sources(part)


def _parts(distant: Distant) -> Iterator[Distant]:
    match distant:
        case Part(source=source):
            yield source
        case Whole(value):
            yield from distant_in(value)
        case Joined(parts):
            yield from distant_in(list(parts))
        case Merged(base, over):
            yield base
            yield from distant_in(over)
        case _:
            pass
