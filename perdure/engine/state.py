"""The state of a run, and the one table by which a node's state moves.

A `GraphRun` is one execution of one graph: the root, a nested graph, or one row of a map. All of
them share a `Clock`, which only holds the time of the event that is being handled, and what is
`ResolvedValues` of values that are not here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from perdure.engine.labelling.flows import NO_FLOWS, Flows
from perdure.engine.maps.late import LateRow
from perdure.engine.maps.opened_graphs import Nested, Outcome
from perdure.engine.plan import Plan
from perdure.engine.resolved_values import ResolvedValues
from perdure.errors import InvalidTransition
from perdure.graph.fields import LOOP_INDEX
from perdure.graph.sizes import MAX_VALUE_BYTES
from perdure.graph.values import UNDEFINED, Value
from perdure.policy.grant import Grant
from perdure.policy.ledger import Ledger


class NodeState(StrEnum):
    """GraphAI's node states, with its own spelling, and one more: a node that has its `fallback`."""

    WAITING = "waiting"
    QUEUED = "queued"
    EXECUTING = "executing"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    SKIPPED = "skipped"
    FELL_BACK = "fell-back"
    INJECTED = "injected"
    ABORT = "abort"


_S = NodeState

TRANSITIONS: Final[Mapping[NodeState, frozenset[NodeState]]] = {
    _S.WAITING: frozenset({_S.QUEUED, _S.SKIPPED, _S.INJECTED}),
    # completed: a skipped node with a default; failed, fell-back: its inputs cannot be resolved
    _S.QUEUED: frozenset({_S.EXECUTING, _S.COMPLETED, _S.FAILED, _S.FELL_BACK}),
    _S.EXECUTING: frozenset({_S.COMPLETED, _S.FAILED, _S.TIMED_OUT, _S.FELL_BACK, _S.ABORT}),
    # failed: a consumer's condition cannot be evaluated over the result
    _S.COMPLETED: frozenset({_S.FAILED}),
    _S.FELL_BACK: frozenset({_S.FAILED}),
    # again executing or failed: the node's retry
    _S.FAILED: frozenset({_S.EXECUTING, _S.FAILED, _S.FELL_BACK}),
    _S.TIMED_OUT: frozenset({_S.EXECUTING, _S.FAILED, _S.FELL_BACK}),
    _S.SKIPPED: frozenset(),
    _S.INJECTED: frozenset({_S.INJECTED}),
    _S.ABORT: frozenset(),
}

STATE_MARKS: Final[Mapping[str, str]] = {
    _S.WAITING: "·",
    _S.QUEUED: "…",
    _S.EXECUTING: "▶",
    _S.COMPLETED: "✓",
    _S.FELL_BACK: "↩",
    _S.INJECTED: "✓",
    _S.FAILED: "✗",
    _S.TIMED_OUT: "✗",
    _S.SKIPPED: "–",
    _S.ABORT: "■",
}
"""The signs by which tables show the states."""

ACTIVE: Final = frozenset({_S.QUEUED, _S.EXECUTING})
"""The states in which a node keeps its graph from being over: `GraphRun.move` counts its nodes in them."""

_CHANGES: Final = {
    source: {target: (target in ACTIVE) - (source in ACTIVE) for target in targets}
    for source, targets in TRANSITIONS.items()
}
"""By how many each transition changes the number of active nodes."""

TERMINAL_STATES: Final = frozenset(
    {_S.COMPLETED, _S.FELL_BACK, _S.FAILED, _S.TIMED_OUT, _S.SKIPPED, _S.INJECTED, _S.ABORT}
)


@dataclass(slots=True)
class Clock:
    """The time of the event in hand, in milliseconds since the epoch."""

    now_ms: int = 0


@dataclass(slots=True)
class NodeRun:
    """One node in one iteration. `hedge` is the second call of an attempt, sent by `hedge_timer`."""

    state: NodeState = NodeState.WAITING
    result: Value = UNDEFINED
    value: Value = UNDEFINED
    """Of a static node: what it will hold."""
    pending: set[str] | frozenset[str] = frozenset()
    """The nodes whose results it lacks (its in-degree): the plan's own set, until there is one less."""
    skip: bool = False
    """Whether `if` or `unless` skips it; `defaultValue` is then its result, if it has one."""
    retries: int = 0
    """Repetitions so far, by `retry` or `repeatUntil`."""
    error: str | None = None
    """The message of the failure that ended it."""
    last_failure: str | None = None
    """The message of the failure of the attempt before this one, or of that for which the node fell back."""
    call: int | None = None
    timer: int | None = None
    """The timer that may time out its graph."""
    deadline: int | None = None
    reserved: bool = False
    """Whether it holds a second slot, for the graph that it runs."""
    nested: Nested | None = None
    hedge: int | None = None
    hedge_timer: int | None = None
    approved: list[str] | None = None
    """The digest of a call that people have approved, and who they are."""
    approved_ms: int | None = None
    """What `@now` is in such a call: the time at which they were asked."""

    @property
    def shown_error(self) -> str | None:
        """Why it failed, or fell back; None for neither."""
        return self.last_failure if self.state is NodeState.FELL_BACK else self.error


@dataclass(slots=True)
class GraphRun:
    """One execution of one graph, over all its iterations.

    `values` are the initial values from outside (by injectValue, or as inputs of a nested graph): each
    iteration starts with them. `want_all` says whether a nested run returns all
    results or those of its isResult nodes. `rule` is the graph's `loop`.

    `active` is the number of nodes in an ACTIVE state, which `move` alone changes. `holds` counts what
    else keeps the graph from being over: a walk over nodes that may queue some, and waiting nodes that
    need a value to be decided. `ledgers` are the budgets that its calls draw on, and `budgets` those of its
    own and of its nodes; it `is_guarded` where calls draw on one, or people have approved a call. `own_bytes`
    are those of the graph, `live` those of all that it holds
    (perdure.engine.live_bytes), `value_limit` those that a value may have. `grant` is what its nodes may do,
    None where nothing is restricted; `flows` says where their data comes from. `late_rows` are those of its
    maps that have no place in a pass, by node and identity.
    """

    id: int
    plan: Plan
    clock: Clock
    resolved: ResolvedValues
    parent: tuple[int, str] | None = None
    path: str = ""
    key: str = ""
    map_index: int | None = None
    depth: int = 1
    batch: int = 1
    want_all: bool = False
    values: dict[str, Value] = field(default_factory=dict[str, Value])
    rule: Mapping[str, Value] | None = None
    iteration: int = 0
    nodes: dict[str, NodeRun] = field(default_factory=dict[str, NodeRun])
    active: int = 0
    holds: int = 0
    own_bytes: int = 0
    live: int = 0
    value_limit: float = MAX_VALUE_BYTES
    grant: Grant | None = None
    ledgers: tuple[Ledger, ...] = ()
    budgets: dict[str, Ledger] = field(default_factory=dict[str, Ledger])
    is_guarded: bool = False
    flows: Flows = NO_FLOWS
    outcome: Outcome | None = None
    late_rows: dict[str, dict[str, LateRow]] = field(default_factory=dict[str, dict[str, LateRow]])

    def result(self, node: str) -> Value:
        """The result of a node, UNDEFINED where it has none (or there is no such node)."""
        return UNDEFINED if (node_run := self.nodes.get(node)) is None else node_run.result

    @property
    def is_idle(self) -> bool:
        """Whether nothing in this graph is under way: it iterates, or is over."""
        return not self.active and not self.holds

    @property
    def now_ms(self) -> int:
        """`@now`."""
        return self.clock.now_ms

    @property
    def loop(self) -> Value:
        """`@loop`."""
        return self.result(LOOP_INDEX)

    def move(self, name: str, to: NodeState, observe: Observer | None = None) -> None:
        """Moves a node by the table and notifies `observe`.

        Raises InvalidTransition with the node's story.
        """
        node = self.nodes[name]
        if (change := _CHANGES[node.state].get(to)) is None:
            raise InvalidTransition(
                f"{self.path_of(name)}: {node.state} -> {to} is not a transition "
                f"(retries {node.retries}, call {node.call}, waiting for {sorted(node.pending)})"
            )
        node.state = to
        if change:
            self.active += change
        if observe is not None:
            observe(self, name)

    def renew(self) -> None:
        """Fresh nodes for an iteration, with the initial values."""
        initial, plan, waiting = self.values, self.plan, NodeState.WAITING
        nodes = self.nodes = dict[str, NodeRun]()
        for name, static in plan.statics.items():  # by position: by name it takes twice as long
            nodes[name] = NodeRun(waiting, UNDEFINED, initial.get(name, static.value))
        for name, computed in plan.computed.items():
            nodes[name] = NodeRun(waiting, UNDEFINED, UNDEFINED, computed.needs)

    def results(self, every: bool, hidden: bool = False) -> dict[str, Value]:
        """Results by node in document order: all, or those of isResult nodes."""
        nodes, chosen = self.nodes, self.plan.order if every else self.plan.result_nodes
        names = (*chosen, LOOP_INDEX) if hidden else chosen
        return {name: result for name in names if (result := nodes[name].result) is not UNDEFINED}

    def bound_steps(self) -> int:
        """Steps that the graphs take at least which nodes of this run have yet to begin."""
        nodes = self.nodes
        nested = (nodes[name].nested for name in self.plan.computed)
        return sum(opened.bound_steps for opened in nested if opened is not None)

    def errors(self) -> dict[str, str]:
        """Messages of the failed nodes, in document order."""
        nodes = self.nodes
        return {name: error for name in self.plan.computed if (error := nodes[name].error) is not None}

    def path_of(self, node: str) -> str:
        """The node's name in the whole run: ``chapters[3].summarize@2#1``."""
        if not (retries := self.nodes[node].retries) and not self.iteration:
            return self.path + node
        iteration = f"@{self.iteration}" if self.iteration else ""
        return f"{self.path}{node}{iteration}#{retries}" if retries else f"{self.path}{node}{iteration}"

    def key_of(self, node: str) -> str:
        """The path without marks of retries."""
        return f"{self.key}{node}@{self.iteration}" if self.iteration else self.key + node

    def walk(self, runs: Mapping[int, GraphRun]) -> Iterator[GraphRun]:
        """This run and all that run inside it."""
        yield self
        for node in self.nodes.values():
            for child in node.nested.children if node.nested else ():
                yield from runs[child].walk(runs)
        for kept in self.late_rows.values():
            for late in kept.values():
                yield from runs[late.graph].walk(runs)


Observer: TypeAlias = Callable[[GraphRun, str], None]
"""Hears of a node that is in another state."""


@dataclass(frozen=True, slots=True)
class AsOf:
    """The scope of the inputs of an approved call: the run, at the time at which people were asked."""

    run: GraphRun
    now_ms: int

    @property
    def loop(self) -> int:
        """`@loop`."""
        return self.run.loop

    def result(self, node: str) -> Value:
        """The result of a node as it is now."""
        return self.run.result(node)
