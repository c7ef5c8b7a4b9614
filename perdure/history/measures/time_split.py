"""What the time of runs went to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Final

from perdure.history.model import Attempt, RunModel

_WORKING, _TRANSFER, _WAITING, _ASKED = range(4)
_KIND_COUNT: Final = 4


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """What the time of runs went to, in seconds.

    Each moment counts once, for the first of these that was true: a call was `working`; a call, or the run,
    was reading values from the store or writing them (`transfer`); a call, or the run, was `waiting` for a
    worker, or a call had lost one; a person was `asked`; or `other`, such as pure agents, timers and
    the run's own steps.
    """

    working: float = 0.0
    transfer: float = 0.0
    waiting: float = 0.0
    asked: float = 0.0
    other: float = 0.0

    @property
    def total(self) -> float:
        """All of it: the end-to-end latency."""
        return sum(astuple(self))

    def __add__(self, other: TimeSplit) -> TimeSplit:
        return TimeSplit(*map(sum, zip(astuple(self), astuple(other), strict=True)))


def time_split(model: RunModel) -> TimeSplit:
    """What the time of a run that is over went to."""
    began, end = model.started or 0, model.ended or 0
    marks: list[tuple[float, int, int]] = []
    for kind, since, until in _intervals(model, end):
        since, until = max(since, began), min(until, end)
        if since < until:
            marks += [(since, kind, 1), (until, kind, -1)]
    seconds, open_now, at = [0.0] * (_KIND_COUNT + 1), [0] * _KIND_COUNT, float(began)
    for time, kind, step in [*sorted(marks), (end, 0, 0)]:
        current = next((index for index in range(_KIND_COUNT) if open_now[index]), _KIND_COUNT)
        seconds[current] += (time - at) / 1000
        open_now[kind] += step
        at = time
    return TimeSplit(*seconds)


def _intervals(model: RunModel, end: int) -> Iterator[tuple[int, float, float]]:
    """What happened, and from when to when."""
    for name, since, until in model.moments:
        yield _TRANSFER if name == "transfer" else _WAITING, since, until
    for node in model.nodes.values():
        if node.placement == "person" and node.started is not None:
            yield _ASKED, node.started, node.ended or end
            continue
        for attempt in node.attempts:
            if attempt.scheduled is None:
                continue
            yield _WAITING, attempt.scheduled, attempt.started or attempt.ended or end
            if attempt.started is not None:
                yield from _work(attempt, attempt.started, attempt.ended or end)


def _work(attempt: Attempt, started: int, ended: int) -> Iterator[tuple[int, float, float]]:
    """The values that a call reads come first, those that it writes last, and its work in between."""
    got, put = transfer_ms(attempt, ended - started)
    yield _TRANSFER, started, started + got
    yield _WORKING, started + got, ended - put
    yield _TRANSFER, ended - put, ended


def transfer_ms(attempt: Attempt, took_ms: float) -> tuple[float, float]:
    """The milliseconds in which a call read from the store and wrote to it, of all that it took."""
    record = attempt.record
    if record is None:
        return 0.0, 0.0
    got = min(max(record.got_ms, 0.0), took_ms)
    return got, min(max(record.put_ms, 0.0), took_ms - got)
