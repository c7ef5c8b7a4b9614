"""The record of a run: every call that was answered, and its answer. It never changes.

A rerun takes it to the store, from which the workers that execute it read it; a small one travels in its
request. Large results are references into the store in both cases, which are in the request itself: an object
of the store refers to no other, and what a history names is not removed from the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from perdure.errors import MalformedPayload, UsageError
from perdure.graph.deferred import Deferred, deferred_in
from perdure.graph.values import UNREADABLE, Value, is_dict, is_list

MAX_RECORD_HANDLE_COUNT: Final = 5_000
"""Large results that one rerun may take over: where they are stored is in its request, of 2 MB at most."""

ONLY_WORKERS_RERUN_HINT: Final = "run the graph as it is, or let someone rerun it who has the keys of workers"
"""For principals: a record that they send could say that calls have answered anything."""


def unused_hint(principal: str) -> str:
    """What to do where a record is not used, in a run that this `principal` has started."""
    return ONLY_WORKERS_RERUN_HINT if principal else "start the rerun again once the store replies"


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

    def written(self) -> tuple[list[Value], list[Value]]:
        """The record without anything deferred, and apart from it what is deferred in its results.

        Raises UsageError for too many of these.
        """
        handles: dict[str, tuple[int, Value]] = {}
        entries = [
            [e.position, e.fingerprint, *_apart(e.result, handles), e.seconds, e.origin] for e in self.entries
        ]
        values = [[place, *_apart(value, handles)] for place, value in self.values.items()]
        if len(handles) > MAX_RECORD_HANDLE_COUNT:
            raise UsageError(
                f"the run has {len(handles):,} large results; a rerun takes over {MAX_RECORD_HANDLE_COUNT:,}",
                hint="run the graph again, or rerun a part of it as a graph of its own",
            )
        return [entries, values], [deferred for _, deferred in handles.values()]


def read_record(data: Any, handles: Sequence[Value] = ()) -> Record:
    """The record that `written` gave. Raises MalformedPayload for anything else."""
    try:
        entries, values = data
        return Record(tuple(_entries(entries, handles)), dict(_set_value(item, handles) for item in values))
    except UNREADABLE as error:
        raise MalformedPayload(f"the record of a run cannot be read: {error}") from error


def _entries(data: Any, handles: Sequence[Value]) -> Iterator[Entry]:
    for position, fingerprint, value, places, seconds, origin in data:
        result = _joined(value, places, handles)
        yield Entry(str(position), str(fingerprint), result, float(seconds), str(origin))


def _set_value(item: Any, handles: Sequence[Value]) -> tuple[str, Value]:
    place, value, places = item
    return str(place), _joined(value, places, handles)


def _apart(value: Value, handles: dict[str, tuple[int, Value]]) -> list[Value]:
    """A value with null in place of what is deferred in it, and the places and numbers of that."""
    places: list[Value] = []
    if next(deferred_in(value), None) is not None:
        value = _without(value, (), places, handles)
    return [value, places]


def _without(
    value: Value, path: tuple[str | int, ...], places: list[Value], handles: dict[str, tuple[int, Value]]
) -> Value:
    if is_dict(value):
        return {key: _without(item, (*path, key), places, handles) for key, item in value.items()}
    if is_list(value):
        return [_without(item, (*path, index), places, handles) for index, item in enumerate(value)]
    if not isinstance(value, Deferred):
        return value
    places.append([list(path), handles.setdefault(repr(value), (len(handles), value))[0]])
    return None


def _joined(value: Value, places: Any, handles: Sequence[Value]) -> Value:
    """The value with what is deferred back in its places. It is changed: no one else has it."""
    whole: Any = [value]
    for path, number in places:
        target: Any = whole
        steps = [0, *path]
        for step in steps[:-1]:
            target = target[step]
        target[steps[-1]] = handles[number]
    return whole[0]


def is_reuse(value: Value) -> bool:
    """Whether a value is what a request says of the record that it reuses."""
    return (
        is_dict(value)
        and isinstance(value.get("run"), str)
        and "record" in value
        and is_list(value.get("handles"))
    )
