"""Values that are not here: a large one is kept in a store, and a run holds what says where.

A `BlobRef` names an object of the store. The others are what references, templates and passThrough make of
one without reading it: expressions over stored objects, which are computed (`evaluate`) where the
value is needed and the store is available.

Why
    A workflow can do no I/O, and what it hands on is written to its history. Documents of megabytes pass
    through a graph of which no node but two looks inside.

Invariants
    To make an expression and evaluate it later has the result of evaluating first; a property
    over random graphs holds that (tests/property).
    What can be decided without the value is: a stored value is large, and so never falsy; a list's
    length and an object's few keys are stored with its hash.
    Expressions are immutable; what is known of one is looked up by its content (engine.resolved_values).

Rejected
    Proxies that load on first use: the workflow would do I/O, at a moment that depends on a cache.
    Marked strings or objects in JSON: a value of a user could imitate one. They differ by type
    here, and by the payload's metadata on the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, ClassVar, Final, Literal, TypeAlias, get_args

from perdure.graph.binary import Array, binary_text, is_binary, is_tensors
from perdure.graph.javascript import utf16_length
from perdure.graph.values import Value, is_dict, is_flat, is_list

Kind: TypeAlias = Literal["object", "list", "string", "tensors", "array", "bytes"]
"""`tensors` is an object whose members are arrays, `array` one alone."""

REF_KINDS: Final = get_args(Kind)
BINARY_KINDS: Final = ("tensors", "array", "bytes")

MAX_KEY_NAMES_COUNT: Final = 32
"""An object with at most this many members has their names next to its hash."""

MAX_KEY_NAME_CHARS: Final = 64


class Deferred:
    """Any value that is not here.

    The text of one, `repr`, is hashed into keys that snapshots hold
    (`perdure.engine.resolved_values.key_of`). So a run continued from an older version must find
    it spelled as it was: `SPELLING` never changes, nor do the names and the order of the fields.
    """

    __slots__ = ()
    SPELLING: ClassVar[str] = "Deferred"

    def __repr__(self) -> str:
        members = ", ".join(f"{name}={getattr(self, name)!r}" for name in _field_names(type(self)))
        return f"{self.SPELLING}({members})"


@cache
def _field_names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


@dataclass(frozen=True, slots=True, repr=False)
class BlobRef(Deferred):
    """An object of the store. `size` is in bytes, `length` counts items, members or UTF-16 units.

    `keys` are the members' names, None if there are many or it is not an object.
    """

    SPELLING: ClassVar[str] = "Stored"

    digest: str
    size: int
    kind: Kind
    length: int = 0
    keys: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return f"[{self.kind} of {self.size / 1e6:.1f} MB, in the store]"


@dataclass(frozen=True, slots=True, repr=False)
class Projection(Deferred):
    """What steps read in `source`: (text, whether it may call functions) each. `cleaned` as in anyInput."""

    SPELLING: ClassVar[str] = "Part"

    source: Deferred
    steps: tuple[tuple[str, bool], ...] = ()
    cleaned: bool = False

    def __str__(self) -> str:
        return f"[part of {self.source}]"


@dataclass(frozen=True, slots=True, repr=False)
class Composite(Deferred):
    """A list or an object that is here, with something in it that is not."""

    SPELLING: ClassVar[str] = "Whole"

    value: Value

    def __str__(self) -> str:
        return "[with parts in the store]"


@dataclass(frozen=True, slots=True, repr=False)
class Concat(Deferred):
    """A string joined of the parts, each as String(part) of JavaScript."""

    SPELLING: ClassVar[str] = "Joined"

    parts: tuple[Value, ...]

    def __str__(self) -> str:
        return "".join(str(described(part)) for part in self.parts)


@dataclass(frozen=True, slots=True, repr=False)
class Merged(Deferred):
    """A result with passThrough over it."""

    SPELLING: ClassVar[str] = "Merged"

    base: Deferred
    over: dict[str, Value]

    def __str__(self) -> str:
        return str(self.base)


_CONTAINER_TYPES: Final = (Deferred, dict, list)


def stored(digest: str, size: int, value: Value) -> BlobRef:
    """What a run holds of `value`, which is kept under `digest`."""
    if is_dict(value):
        few = len(value) <= MAX_KEY_NAMES_COUNT and all(len(key) <= MAX_KEY_NAME_CHARS for key in value)
        kind = "tensors" if is_tensors(value) else "object"
        return BlobRef(digest, size, kind, len(value), tuple(value) if few else None)
    if is_list(value):
        return BlobRef(digest, size, "list", len(value))
    if isinstance(value, bytes):
        return BlobRef(digest, size, "bytes", len(value))
    if isinstance(value, Array):
        return BlobRef(digest, size, "array", value.shape[0] if value.shape else 0)
    return BlobRef(digest, size, "string", utf16_length(str(value)))


def deferred_in(value: Value) -> Iterator[Deferred]:
    """Everything in `value` that is not here."""
    if is_dict(value) or is_list(value):
        for item in value.values() if is_dict(value) else value:
            if isinstance(item, _CONTAINER_TYPES):
                yield from deferred_in(item)
    elif isinstance(value, Deferred):
        yield value


def replaced(value: Value, replace: Callable[[Deferred], Value]) -> Value:
    """A copy of `value` with something in place of everything that is not here."""
    if is_dict(value):
        copy = value.copy()
        if is_flat(value):  # most are, and the inputs of every call pass here
            return copy
        for key, item in value.items():
            if isinstance(item, _CONTAINER_TYPES):
                copy[key] = replaced(item, replace)
        return copy
    if is_list(value):
        return [replaced(item, replace) if isinstance(item, _CONTAINER_TYPES) else item for item in value]
    return replace(value) if isinstance(value, Deferred) else value


def copied(value: Value) -> Value:
    """A copy of the lists and objects in `value`; what is deferred stays as it is."""
    return replaced(value, lambda deferred: deferred)


def described(value: Value) -> Value:
    """`value` for people: what is not present, or binary, is described."""
    if is_dict(value):
        return {key: described(item) for key, item in value.items()}
    if is_list(value):
        return [described(item) for item in value]
    if is_binary(value):
        return binary_text(value)
    return str(value) if isinstance(value, Deferred) else value


def sources(deferred: Deferred) -> Iterator[BlobRef]:
    """The objects that are needed to evaluate it."""
    if isinstance(deferred, BlobRef):
        yield deferred
    for part in _parts(deferred):
        yield from sources(part)


def _parts(deferred: Deferred) -> Iterator[Deferred]:
    match deferred:
        case Projection(source=source):
            yield source
        case Composite(value):
            yield from deferred_in(value)
        case Concat(parts):
            yield from deferred_in(list(parts))
        case Merged(base, over):
            yield base
            yield from deferred_in(over)
        case _:
            pass
