"""The record of a run: every call that was answered, and its answer. It never changes.

A rerun takes it to the store, from which the workers that execute it read it; a small one travels in its
request. Large results are references into the store in both cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from perdure.errors import MalformedPayload, UsageError
from perdure.graph.deferred import deferred_in, sources
from perdure.graph.values import UNREADABLE, Value, is_dict, is_list
from perdure.protocol.encoding import apart, restored

MAX_RECORD_HANDLE_COUNT: Final = 12_000
"""Large results that one rerun may take over: their names are in its request, so that none is removed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A call that was answered with `result`.

    `seconds` is what it took, in the run `origin` that executed it.
    """

    position: str
    fingerprint: str
    result: Value
    seconds: float = 0.0
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """The entries of a run in the order in which they were answered.

    `values` are answers that a person has set, by the address or the position of their nodes: these are
    answered without a call, whatever their inputs.
    """

    entries: Sequence[Entry] = ()
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])

    def written(self) -> list[Value]:
        """The entries and the values as plain data."""
        entries = [[e.position, e.fingerprint, *apart(e.result), e.seconds, e.origin] for e in self.entries]
        return [entries, [[place, *apart(value)] for place, value in self.values.items()]]

    def handles(self) -> list[str]:
        """The names of the objects of the store that results refer to. Raises UsageError for too many."""
        results = [entry.result for entry in self.entries] + list(self.values.values())
        names = dict.fromkeys(
            stored.digest for distant in deferred_in(results) for stored in sources(distant)
        )
        if len(names) > MAX_RECORD_HANDLE_COUNT:
            raise UsageError(
                f"the run has {len(names):,} large results; a rerun takes over {MAX_RECORD_HANDLE_COUNT:,}",
                hint="run the graph again, or rerun a part of it as a graph of its own",
            )
        return list(names)


def read_record(data: Any) -> Record:
    """The record that `written` gave. Raises MalformedPayload for anything else."""
    try:
        entries, values = data
        return Record(tuple(_entries(entries)), dict(_value(item) for item in values))
    except UNREADABLE as error:
        raise MalformedPayload(f"the record of a run cannot be read: {error}") from error


def _entries(data: Any) -> Iterator[Entry]:
    for position, fingerprint, plain, places, seconds, origin in data:
        yield Entry(str(position), str(fingerprint), _restored(plain, places), float(seconds), str(origin))


def _value(item: Any) -> tuple[str, Value]:
    place, plain, places = item
    return str(place), _restored(plain, places)


def _restored(plain: Value, places: Value) -> Value:
    if not places:
        return plain
    whole = [plain]
    return restored(whole, [[[0, *path], mark] for path, mark in places])[0] if is_list(places) else plain


def is_reuse(value: Value) -> bool:
    """Whether a value is what a request says of the record that it reuses."""
    return is_dict(value) and isinstance(value.get("run"), str) and "record" in value
