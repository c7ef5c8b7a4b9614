"""Calls of agents, by agent and by host: how long they waited and worked, and how often they were lost.

The worker counts the attempts of a call that have ended, by kind, and records them with its result. Where
it could not, as in runs of earlier versions and in calls that have failed, the history has the last attempt
and why the one before it ended: then all earlier ones count as failures of that kind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from perdure.history.measures.shares import Quantiles
from perdure.history.measures.time_split import transfer_ms
from perdure.history.model import Attempt, NodeModel, RunModel

_LOST_WORDS: Final = ("heartbeat timeout", "no worker finished it in time")
"""What the failure of an attempt says whose worker was lost: Temporal's words, and Perdure's."""

_REFUSED_WORDS: Final = ("lost its worker", "lost their worker")
"""What that of an attempt says which was not made: the call had lost enough workers before."""

UNKNOWN_HOST: Final = "unknown"
"""Where attempts were lost whose worker had not yet sent a heartbeat."""


@dataclass(slots=True, kw_only=True)
class CallMeasures:
    """Calls of one agent, or on one host: those with an activity of their own, or with a part in one.

    `attempts` are all executions of their activities, of which `lost` ended with their worker, `returned`
    were handed back by a worker that stopped or lacked the agent, and `failed` ended otherwise. `waiting` are
    the seconds that first attempts waited for a worker, `working` those that last attempts took without
    `transfer`, their exchange with the store, and `repair` those from the sending of a call that lost its
    worker to its result. `byte_count` is what their activities were handed and returned, and what they read
    from the store and wrote to it.
    """

    calls: int = 0
    attempts: int = 0
    lost: int = 0
    failed: int = 0
    returned: int = 0
    waiting: list[float] = field(default_factory=list[float])
    working: list[float] = field(default_factory=list[float])
    transfer: list[float] = field(default_factory=list[float])
    repair: list[float] = field(default_factory=list[float])
    byte_count: int = 0

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
        """Seconds of work between two losses; None without a loss or without any work."""
        return sum(self.working) / self.lost if self.lost and self.working else None

    @property
    def mttr_s(self) -> float | None:
        """Seconds until a call that lost its worker had a result; None where none did."""
        return sum(self.repair) / len(self.repair) if self.repair else None


@dataclass(slots=True)
class CallTable:
    """The calls of runs, by agent and by host."""

    agents: dict[str, CallMeasures] = field(default_factory=lambda: defaultdict(CallMeasures))
    hosts: dict[str, CallMeasures] = field(default_factory=lambda: defaultdict(CallMeasures))

    def add(self, models: Sequence[RunModel]) -> None:
        """Counts the calls of these runs. An activity that several share counts for the first of them."""
        for model in models:
            seen: set[tuple[str, int]] = set()
            for node in model.nodes.values():
                for before, attempt in zip([None, *node.attempts], node.attempts, strict=False):
                    self._add(node, before, attempt, seen)

    def _add(
        self, node: NodeModel, before: Attempt | None, attempt: Attempt, seen: set[tuple[str, int]]
    ) -> None:
        if attempt.scheduled is None:
            return
        groups = [self.agents[node.agent or ""]]
        host = host_of(attempt)
        if host:
            groups.append(self.hosts[host])
        is_new = (attempt.activity, attempt.scheduled) not in seen
        seen.add((attempt.activity, attempt.scheduled))
        for group in groups:
            group.calls += 1
            if is_new:
                _count(group, attempt, attempt.scheduled)
            else:  # its activity is counted; it may have failed in it alone
                group.failed += attempt.failure is not None and not _says(attempt, _LOST_WORDS)
        if is_new and attempt.number > 1:
            self._add_earlier(groups[0], attempt, attempt.scheduled, _ended_before(before, attempt))

    def _add_earlier(self, calls: CallMeasures, attempt: Attempt, scheduled: int, ended: _Ended) -> None:
        calls.attempts += attempt.number - 1
        calls.lost += ended.lost
        calls.failed += ended.failed
        calls.returned += ended.returned
        is_repaired = ended.lost > 0 and attempt.failure is None and attempt.ended is not None
        repair = [(attempt.ended - scheduled) / 1000] if is_repaired and attempt.ended is not None else []
        calls.repair += repair
        known = ended.lost_on[: ended.lost]
        lost_on = (*known, *[_host_of_queue(attempt) or UNKNOWN_HOST] * (ended.lost - len(known)))
        for host in lost_on:
            self.hosts[host].attempts += 1
            self.hosts[host].lost += 1
        for host in dict.fromkeys(lost_on):
            self.hosts[host].repair += repair


@dataclass(frozen=True, slots=True)
class _Ended:
    """How the attempts before the last one have ended."""

    lost: int = 0
    failed: int = 0
    returned: int = 0
    lost_on: tuple[str, ...] = ()


def _ended_before(before: Attempt | None, attempt: Attempt) -> _Ended:
    earlier, record = attempt.number - 1, attempt.record
    if record is not None and 0 < record.earlier <= earlier:
        failed, returned = record.transient + record.blocked, record.stopped + record.absent
        return _Ended(record.lost, failed, returned, tuple(record.lost_on.split()))
    is_same = before is not None and before.activity == attempt.activity
    if is_same and _says(before, _LOST_WORDS):
        return _Ended(lost=earlier)
    return _Ended(failed=earlier)


def host_of(attempt: Attempt) -> str:
    """The host of an attempt: by its name, else by that of the machine; "" if it is unknown."""
    if attempt.record is not None and attempt.record.host:
        return attempt.record.host
    if attempt.worker is None:
        return ""
    return _host_of_queue(attempt) or attempt.worker.rpartition("@")[2].partition("+")[0]


def _host_of_queue(attempt: Attempt) -> str:
    """The host whose own task queue an attempt came from."""
    queue = attempt.queue or ""
    return queue[1:] if queue.startswith("@") else ""


def _count(measures: CallMeasures, attempt: Attempt, scheduled: int) -> None:
    measures.attempts += 1
    measures.byte_count += attempt.byte_count
    if attempt.record is not None:
        measures.byte_count += attempt.record.got + attempt.record.put
    if attempt.failure is not None and not _says(attempt, _REFUSED_WORDS):
        is_lost = _says(attempt, _LOST_WORDS)
        measures.lost += is_lost
        measures.failed += not is_lost
    if attempt.started is not None and attempt.ended is not None:
        took = attempt.ended - attempt.started
        transfer = sum(transfer_ms(attempt, took))
        measures.working.append((took - transfer) / 1000)
        if transfer:
            measures.transfer.append(transfer / 1000)
        if attempt.number == 1:  # later ones have waited for the end of those before, too
            measures.waiting.append((attempt.started - scheduled) / 1000)


def _says(attempt: Attempt | None, words: Sequence[str]) -> bool:
    failure = "" if attempt is None or attempt.failure is None else attempt.failure.lower()
    return any(word in failure for word in words)
