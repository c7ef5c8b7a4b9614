"""How well runs went, as numbers: latency and what it is made of, failures, bytes, cost per unit, errors.

Each number is computed from recorded histories alone, so anybody can compute it again later. What a
history does not hold is not estimated: of several attempts of a call it has only the last and the failure of
the one before. So earlier attempts count as failures of that kind; their times and hosts are not known.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from statistics import NormalDist
from typing import Final

from perdure.engine.granting.prices import Prices, Spent
from perdure.errors import UsageError
from perdure.graph.deferred import deferred_in, sources
from perdure.graph.values import UNDEFINED, is_dict
from perdure.history.model import Attempt, NodeModel, RunModel
from perdure.history.spent import spent_by_node, total
from perdure.protocol.encoding import encoded_size

LOST_WORDS: Final = (
    "heartbeat timeout",
    "lost its worker",
    "lost their worker",
    "no worker finished it in time",
)
"""What the failure of an attempt says whose worker was lost: Temporal's words, and Perdure's."""


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Of measured times, in seconds: the nearest ranks."""

    count: int
    p50: float
    p95: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Quantiles:
        """Of these; without any, all are 0."""
        ranked = sorted(seconds)
        at = [ranked[max(math.ceil(share * len(ranked)) - 1, 0)] if ranked else 0.0 for share in _SHARES]
        return cls(len(ranked), *at)


_SHARES: Final = (0.5, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """What the time of runs went to, in seconds.

    Each moment counts once, for the first of these that was true: a call was `working`; a call was `waiting`
    for a worker, or had lost one; a person was `asked`; or `other`, such as pure agents, timers and the
    run's own steps.
    """

    working: float = 0.0
    waiting: float = 0.0
    asked: float = 0.0
    other: float = 0.0

    @property
    def total(self) -> float:
        """All of it: the end-to-end latency."""
        return self.working + self.waiting + self.asked + self.other

    def __add__(self, other: TimeSplit) -> TimeSplit:
        return TimeSplit(*map(sum, zip(astuple(self), astuple(other), strict=True)))


@dataclass(slots=True, kw_only=True)
class CallMeasures:
    """Calls of one agent, or on one host: those with an activity of their own.

    `attempts` are all executions, of which `lost` ended with their worker and `failed` otherwise. `waiting`
    are the seconds that first attempts waited for a worker, `working` those that last attempts took, and
    `repair` those from the sending of a call that lost its worker to its result.
    """

    calls: int = 0
    attempts: int = 0
    lost: int = 0
    failed: int = 0
    waiting: list[float] = field(default_factory=list[float])
    working: list[float] = field(default_factory=list[float])
    repair: list[float] = field(default_factory=list[float])

    @property
    def waits(self) -> Quantiles:
        """The times that first attempts waited for a worker."""
        return Quantiles.of(self.waiting)

    @property
    def work(self) -> Quantiles:
        """The times that last attempts took."""
        return Quantiles.of(self.working)

    @property
    def hours(self) -> float:
        """Hours of work."""
        return sum(self.working) / 3600

    @property
    def losses_per_hour(self) -> float | None:
        """Lost attempts for each hour of work; None without any work."""
        return self.lost / self.hours if self.hours else None

    @property
    def mtbf_s(self) -> float | None:
        """Seconds of work between two losses; None without a loss."""
        return sum(self.working) / self.lost if self.lost else None

    @property
    def mttr_s(self) -> float | None:
        """Seconds until a call that lost its worker had a result; None where none did."""
        return sum(self.repair) / len(self.repair) if self.repair else None


@dataclass(slots=True)
class BytesMeasures:
    """What calls on task queues were handed and returned.

    `inline` went through the server; `stored` are the bytes of values in the store that calls referred to,
    each time; `distinct` the same values, each counted once: what has to be moved at the least.
    """

    inline: int = 0
    stored: int = 0
    distinct: int = 0

    @property
    def overhead(self) -> float | None:
        """All bytes for each byte that has to be moved; None where nothing was."""
        least = self.inline + self.distinct
        return (self.inline + self.stored) / least if least else None


@dataclass(frozen=True, slots=True)
class Share:
    """A share of `n` with its 95 % interval by Wilson: errors of units, or correct ones of a test set."""

    count: float
    n: float

    @property
    def value(self) -> float:
        """From 0 to 1."""
        return self.count / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The lower and the upper end."""
        z = NormalDist().inv_cdf(0.975)
        z2 = z**2
        middle = (self.value + z2 / (2 * self.n)) / (1 + z2 / self.n)
        variance = self.value * (1 - self.value) / self.n + z2 / (4 * self.n**2)
        half = z * math.sqrt(variance) / (1 + z2 / self.n)
        return max(middle - half, 0.0), min(middle + half, 1.0)


@dataclass(slots=True, kw_only=True)
class Measures:
    """All of them, over the runs of a report. `states` counts the runs by their state."""

    states: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))
    latency: Quantiles = field(default_factory=lambda: Quantiles.of(()))
    split: TimeSplit = field(default_factory=TimeSplit)
    agents: dict[str, CallMeasures] = field(default_factory=lambda: defaultdict(CallMeasures))
    hosts: dict[str, CallMeasures] = field(default_factory=lambda: defaultdict(CallMeasures))
    traffic: BytesMeasures = field(default_factory=BytesMeasures)
    spent: Spent = field(default_factory=Spent)


def measures_of(models: Sequence[RunModel], prices: Prices) -> Measures:
    """The numbers of these runs; of open ones, what has happened so far, without their latency."""
    made = Measures()
    over: list[float] = []
    for model in models:
        made.states[model.state] += 1
        if model.started is not None and model.ended is not None:
            over.append((model.ended - model.started) / 1000)
            made.split += time_split(model)
        made.spent += total(spent_by_node(model, prices))
        for node in model.nodes.values():
            _count_calls(made, node)
    made.latency = Quantiles.of(over)
    made.traffic = _traffic(models)
    return made


def time_split(model: RunModel) -> TimeSplit:
    """What the time of a run that is over went to."""
    began, end = model.started or 0, model.ended or 0
    marks: list[tuple[int, int, int]] = []
    for kind, since, until in _intervals(model, end):
        since, until = max(since, began), min(until, end)
        if since < until:
            marks += [(since, kind, 1), (until, kind, -1)]
    seconds, open_now, at = [0.0, 0.0, 0.0, 0.0], [0, 0, 0], began
    for time, kind, step in [*sorted(marks), (end, 0, 0)]:
        current = next((index for index in range(3) if open_now[index]), 3)
        seconds[current] += (time - at) / 1000
        open_now[kind] += step
        at = time
    return TimeSplit(*seconds)


def _intervals(model: RunModel, end: int) -> Iterator[tuple[int, int, int]]:
    """When calls worked (0) and waited (1), and when people were asked (2)."""
    for node in model.nodes.values():
        if node.placement == "person" and node.started is not None:
            yield 2, node.started, node.ended or end
            continue
        for attempt in node.attempts:
            if attempt.scheduled is None:
                continue
            yield 1, attempt.scheduled, attempt.started or attempt.ended or end
            if attempt.started is not None:
                yield 0, attempt.started, attempt.ended or end


def _count_calls(made: Measures, node: NodeModel) -> None:
    for before, attempt in zip([None, *node.attempts], node.attempts, strict=False):
        if attempt.scheduled is None:
            continue
        earlier = before if before is not None and before.activity == attempt.activity else None
        calls = made.agents[node.agent or ""]
        _count(calls, attempt, attempt.scheduled)
        _count_earlier(calls, attempt, attempt.scheduled, earlier)
        if attempt.worker is not None:  # of earlier attempts, the history does not know the worker
            _count(
                made.hosts[attempt.worker.rpartition("@")[2].partition("+")[0]], attempt, attempt.scheduled
            )


def _count(measures: CallMeasures, attempt: Attempt, scheduled: int) -> None:
    measures.calls += 1
    measures.attempts += 1
    if attempt.failure is not None:
        measures.lost += _is_lost(attempt)
        measures.failed += not _is_lost(attempt)
    if attempt.started is not None and attempt.ended is not None:
        measures.working.append((attempt.ended - attempt.started) / 1000)
        if attempt.number == 1:  # later ones have waited for the end of those before, too
            measures.waiting.append((attempt.started - scheduled) / 1000)


def _count_earlier(measures: CallMeasures, attempt: Attempt, scheduled: int, earlier: Attempt | None) -> None:
    count, has_lost = attempt.number - 1, _is_lost(earlier)
    measures.attempts += count
    measures.lost += count * has_lost
    measures.failed += count * (not has_lost)
    if has_lost and attempt.failure is None and attempt.ended is not None:
        measures.repair.append((attempt.ended - scheduled) / 1000)


def _is_lost(attempt: Attempt | None) -> bool:
    failure = "" if attempt is None or attempt.failure is None else attempt.failure.lower()
    return any(words in failure for words in LOST_WORDS)


def _traffic(models: Sequence[RunModel]) -> BytesMeasures:
    traffic, sizes = BytesMeasures(), dict[str, int]()
    for model in models:
        remote = {node.address for node in model.nodes.values() if node.placement == "activity"}
        for call in model.calls:
            if call.recalled is not None or call.command.key not in remote:
                continue
            for value in (call.command.inputs, call.result):
                traffic.inline += encoded_size(value)
                for blob in (blob for deferred in deferred_in(value) for blob in sources(deferred)):
                    traffic.stored += blob.size
                    sizes[blob.digest] = blob.size
    traffic.distinct = sum(sizes.values())
    return traffic


def sum_at(models: Sequence[RunModel], path: str) -> float:
    """The numbers at ``NODE.prop.prop`` of these runs, added up. Raises UsageError if one has none."""
    name, *steps = path.split(".")
    total = 0.0
    for model in models:
        value = model.node(name).result
        for step in steps:
            value = value.get(step, UNDEFINED) if is_dict(value) else UNDEFINED
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"run {model.id!r} has no number at {path!r}", hint="name NODE or NODE.PROP")
        total += value
    return total
