"""All numbers of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from perdure.engine.granting.prices import Prices, Spent
from perdure.errors import UsageError
from perdure.graph.values import UNDEFINED, Value, is_dict
from perdure.history.measures.calls import CallMeasures, CallTable
from perdure.history.measures.evaluations import Evaluation, evaluations_of
from perdure.history.measures.shares import Quantiles
from perdure.history.measures.time_split import TimeSplit, time_split
from perdure.history.measures.traffic import BytesMeasures, traffic_of
from perdure.history.model import RunModel
from perdure.history.spent import spent_by_node, total


@dataclass(slots=True, kw_only=True)
class Measures:
    """All of them, over the runs of a report. `states` counts the runs by their state.

    `seconds` are the latencies of the runs that are over. `spent` are tokens and their price, `money`
    is the price of everything: tokens, hours of workers, bytes and runs, as far as there are prices.
    """

    states: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))
    seconds: list[float] = field(default_factory=list[float])
    split: TimeSplit = field(default_factory=TimeSplit)
    calls: CallTable = field(default_factory=CallTable)
    traffic: BytesMeasures = field(default_factory=BytesMeasures)
    spent: Spent = field(default_factory=Spent)
    money: float = 0.0
    evaluations: list[Evaluation] = field(default_factory=list[Evaluation])

    @property
    def latency(self) -> Quantiles:
        """That of the runs that are over."""
        return Quantiles.of(self.seconds)

    @property
    def agents(self) -> dict[str, CallMeasures]:
        """Calls by agent."""
        return self.calls.agents

    @property
    def hosts(self) -> dict[str, CallMeasures]:
        """Calls by host."""
        return self.calls.hosts

    @property
    def worker_hours(self) -> float:
        """Hours that workers have spent on calls, with their exchange with the store."""
        return sum(sum(group.working) + sum(group.transfer) for group in self.agents.values()) / 3600


def measures_of(models: Sequence[RunModel], prices: Prices) -> Measures:
    """The numbers of these runs; of open ones, what has happened so far, without their latency."""
    made = Measures(traffic=traffic_of(models), evaluations=evaluations_of(models))
    for model in models:
        made.states[model.state] += 1
        if model.started is not None and model.ended is not None:
            made.seconds.append((model.ended - model.started) / 1000)
            made.split += time_split(model)
        made.spent += total(spent_by_node(model, prices))
    made.calls.add(models)
    rates = prices.rates
    made.money = made.spent.money + rates.cost(made.worker_hours, made.traffic.moved, len(models))
    return made


def sum_at(models: Sequence[RunModel], path: str) -> float:
    """The numbers at ``NODE.prop.prop`` of these runs, added up. Raises UsageError if one has none."""
    return sum(_number_at(model, path) for model in models)


def decision_times(models: Sequence[RunModel], event: str, decision: str) -> list[float]:
    """Seconds from the time of an event, at ``NODE.prop``, to the end of the node `decision`, for each run.

    The time is in milliseconds since the epoch, or ISO 8601 with an offset. Raises UsageError.
    """
    return [_decided_ms(model, decision) / 1000 - _time_at(model, event) for model in models]


def _decided_ms(model: RunModel, decision: str) -> int:
    ended = model.node(decision).ended
    if ended is None:
        raise UsageError(f"node {decision!r} of run {model.id!r} has not ended", hint="name one that has")
    return ended


def _time_at(model: RunModel, path: str) -> float:
    value = _at(model, path)
    if isinstance(value, str):
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            time = None
        if time is not None and time.tzinfo is not None:
            return time.timestamp()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value / 1000
    hint = "milliseconds since the epoch, or ISO 8601 with an offset"
    raise UsageError(f"run {model.id!r} has no time at {path!r}", hint=hint)


def _number_at(model: RunModel, path: str) -> float:
    value = _at(model, path)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"run {model.id!r} has no number at {path!r}", hint="name NODE or NODE.PROP")
    return value


def _at(model: RunModel, path: str) -> Value:
    name, *steps = path.split(".")
    value = model.node(name).result
    for step in steps:
        value = value.get(step, UNDEFINED) if is_dict(value) else UNDEFINED
    return value
