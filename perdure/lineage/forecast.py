"""What a rerun would do: its scheduler is played over the record, and no agent is called.

A call that the record answers is reused; any other would be executed, and what follows from its answer is
unknown. So this is exact as far as it goes, and says where it ends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from perdure.engine.messages import (
    AgentCompleted,
    CancelCall,
    Command,
    Event,
    Fetch,
    Finish,
    RunAgent,
    Settle,
    Settled,
)
from perdure.engine.scheduler import Scheduler
from perdure.engine.state import NodeState
from perdure.engine.turn_order import TurnOrder
from perdure.errors import PerdureError
from perdure.graph.values import Value, is_dict
from perdure.lineage.change import Rerun, covers
from perdure.lineage.code import CodeChanges
from perdure.lineage.documents import placed_nodes
from perdure.lineage.fingerprint import address_of
from perdure.lineage.recall import Recall

REUSED: Final = "reused"
RUNS: Final = "runs"
UNKNOWN: Final = "unknown"

_SAME: Final = "its answer was used by another call, or cannot be compared"


@dataclass(frozen=True, slots=True)
class EarlierCall:
    """A call of the earlier run: what was asked, what it took and used, and whether a person was asked."""

    command: RunAgent
    seconds: float = 0.0
    tokens: float = 0.0
    money: float = 0.0


@dataclass(frozen=True, slots=True)
class ForecastCall:
    """What would become of one call, and why. `seconds` and `tokens` are those of the last time."""

    position: str
    agent: str
    state: str
    why: str = ""
    seconds: float = 0.0
    tokens: float = 0.0
    money: float = 0.0


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """The calls of one node, over all rows and passes: how many are reused and executed.

    Those of an `unknown` node depend on an answer that is not there yet. `seconds` and `tokens` are what the
    calls took and used the last time that are not reused.
    """

    address: str
    agent: str
    reused: int = 0
    runs: int = 0
    is_unknown: bool = False
    why: str = ""
    seconds: float = 0.0
    tokens: float = 0.0
    money: float = 0.0


@dataclass(slots=True)
class Forecast:
    """Plays a rerun. `earlier` are the calls of the run that it repeats, by their position, and `failures`
    the messages of those that failed. `unreused` agents are called again; `code` has the digests of now.
    `changed` are agents of which results are reused although they have other code now.

    `play` gives the values of the store that it has to know: the caller answers each by `answer`, and plays
    on, until there are none.
    """

    rerun: Rerun
    earlier: Mapping[str, EarlierCall]
    failures: Mapping[str, str] = field(default_factory=dict[str, str])
    unreused: Collection[str] = ()
    code: Mapping[str, str] = field(default_factory=dict[str, str])
    changed: set[str] = field(default_factory=set[str])
    calls: list[ForecastCall] = field(default_factory=list[ForecastCall])
    finish: Finish | None = None
    problem: str = ""
    _turns: TurnOrder = field(default_factory=TurnOrder)
    _fetches: list[Fetch] = field(default_factory=list[Fetch])
    _recall: Recall = field(init=False)
    _changes: CodeChanges = field(init=False)
    _scheduler: Scheduler | None = None

    def __post_init__(self) -> None:
        self._changes = CodeChanges(self.rerun.code, self.code)
        changes = self._changes if self.rerun.changed_agents else None
        self._recall = Recall(self.rerun.record, unreused=self.unreused, changes=changes)

    def play(self, now_ms: int) -> list[Fetch]:
        """Plays as far as it can. Raises GraphError for a graph that would be refused."""
        scheduler = self._scheduler
        if scheduler is None:
            scheduler = self._scheduler = Scheduler(self.rerun.document, self.rerun.options)
            self._take(scheduler.start(now_ms))
        try:
            while self.finish is None and (event := self._turns.next()) is not None:
                self._take(scheduler.handle(event, now_ms))
        except PerdureError as error:
            self.problem = str(error)
        fetches, self._fetches = self._fetches, []
        return fetches

    def answer(self, event: Event) -> None:
        """The answer to what `play` has asked for."""
        self._turns.arrive(event)

    def _take(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case RunAgent():
                    self._call(command)
                case Settle(call, turns):
                    self._turns.expect(call, Settled(call), turns)
                case Fetch():
                    self._fetches.append(command)
                case CancelCall(call):
                    self._turns.drop(call)
                    self._recall.release(call)
                case Finish():
                    self.finish = command
                case _:
                    pass

    def _call(self, command: RunAgent) -> None:
        recalled = self._recall.find(command)
        before = self.earlier.get(command.key) or EarlierCall(command)
        state, why = (RUNS, self._reason(command)) if recalled is None else (REUSED, "")
        cost = before.seconds, before.tokens, before.money
        self.calls.append(ForecastCall(command.key, command.agent, state, why, *cost))
        if recalled is not None:
            if recalled.entry >= 0 and self._has_other_code(command, recalled.entry):
                self.changed.add(command.agent)
            event = AgentCompleted(command.call, recalled.result)
            self._turns.recall(command.call, recalled.order, event)

    def _has_other_code(self, command: RunAgent, entry: int) -> bool:
        return self._changes.has(command.agent, self.rerun.record.entries[entry].origin)

    def _reason(self, command: RunAgent) -> str:
        for selector, reason in self.rerun.dropped.items():
            if covers(selector, command.key):
                return reason
        if command.agent in self.unreused:
            return f"{command.agent} is called in each run"
        before = self.earlier.get(command.key)
        if before is not None:
            difference = _difference(before.command, command)
            is_changed = self.rerun.changed_agents and not difference
            return f"the code of {command.agent} has changed" if is_changed else difference or _SAME
        if command.key in self.failures:
            return f"it failed: {self.failures[command.key]}"
        address = address_of(command.key)
        if any(address_of(position) == address for position in self.earlier):
            return "it has no answer yet for these inputs"
        return "it has no result yet"

    def rows(self) -> list[ForecastRow]:
        """The forecast by node, in the order of the document; nodes with no calls at all are left out."""
        nodes = placed_nodes(self.rerun.document)
        rows: dict[str, ForecastRow] = {}
        for call in self.calls:
            address = address_of(call.position)
            row = rows.get(address) or ForecastRow(address, call.agent)
            if call.state == REUSED:
                row = replace(row, reused=row.reused + 1)
            else:
                cost = {
                    "seconds": row.seconds + call.seconds,
                    "tokens": row.tokens + call.tokens,
                    "money": row.money + call.money,
                }
                row = replace(row, runs=row.runs + 1, why=row.why or call.why, **cost)
            rows[address] = row
        for address in self._unknown():
            agent = str(nodes[address].node["agent"])
            row = rows.get(address) or ForecastRow(address, agent)
            rows[address] = self._unknown_row(row)
        order = {address: number for number, address in enumerate(nodes)}
        return sorted(rows.values(), key=lambda row: order.get(row.address, len(order)))

    def _unknown_row(self, row: ForecastRow) -> ForecastRow:
        seen = {call.position for call in self.calls}
        left = [
            call
            for position, call in self.earlier.items()
            if position not in seen and address_of(position) == row.address
        ]
        seconds = row.seconds + sum(call.seconds for call in left)
        tokens = row.tokens + sum(call.tokens for call in left)
        why = row.why or "it depends on a result that is not there yet"
        money = row.money + sum(call.money for call in left)
        return replace(row, is_unknown=True, why=why, seconds=seconds, tokens=tokens, money=money)

    def _unknown(self) -> Iterator[str]:
        """The addresses of nodes with agents of which it is not decided yet whether and how they run."""
        if self.finish is not None or self._scheduler is None:
            return
        nodes = placed_nodes(self.rerun.document)
        waiting: set[str] = set()
        for run in self._scheduler.board.runs.values():
            for name in run.plan.computed:
                if run.nodes[name].state in (NodeState.WAITING, NodeState.QUEUED) or run.rule:
                    waiting.add(address_of(run.key_of(name)))
        for address, place in nodes.items():
            if place.is_agent and any(_is_at(address, person) for person in waiting):
                yield address


def _is_at(address: str, outer: str) -> bool:
    return address == outer or (address.startswith(outer) and address[len(outer)] in ".[")


def _difference(before: RunAgent, now: RunAgent) -> str:
    """What two calls at the same position do not have in common, "" for nothing."""
    if before.agent != now.agent:
        return f"its agent was {before.agent}"
    for kind, old, new in (("input", before.inputs, now.inputs), ("param", before.params, now.params)):
        if old == new and repr(old) == repr(new):
            continue
        names = _differing(old, new)
        return f"{kind} {', '.join(names[:3])} differs" if names else f"its {kind}s differ"
    return ""


def _differing(old: Value, new: Value) -> list[str]:
    if not (is_dict(old) and is_dict(new)):
        return []
    names: Collection[str] = {**old, **new}
    return [name for name in names if repr(old.get(name)) != repr(new.get(name))]
