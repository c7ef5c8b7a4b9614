"""The read model: all that is known of a run, as records.

One model serves all readers (page, status, history, explain), whether the run is open or over, with a worker
or without. `perdure.history.read` makes it. Times are in milliseconds since the epoch, None where unknown or
not yet. Values are the run's own objects and must not be changed; a large one is a
perdure.graph.deferred.Deferred, which `Run.value` fetches from the store. UNDEFINED means that there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from perdure.engine.closed_questions import Closed
from perdure.engine.human_tasks import HumanPrompt
from perdure.engine.messages import RunAgent
from perdure.errors import NotFound, UsageError
from perdure.graph.values import UNDEFINED, Value
from perdure.protocol.agents import AgentRegistry
from perdure.protocol.call_record import CallRecord
from perdure.protocol.failures import NodeFailure
from perdure.protocol.interventions import Intervention
from perdure.protocol.payloads import RunRequest
from perdure.protocol.trail import TrailPosition


class Phase(StrEnum):
    """What a node is doing. The engine's state `queued` is one of these, `executing` is six of them."""

    WAITING = "waiting"
    """For results of other nodes."""
    QUEUED_HERE = "queued here"
    """Ready, and held back by the run: no free slot, a label's limit, too many calls on their way."""
    QUEUED_THERE = "queued there"
    """On a task queue of the server, where no worker has taken it yet."""
    RUNNING = "running"
    BACKOFF = "backoff"
    """An attempt has failed, and the server repeats it later."""
    ASKS = "asks"
    """A person is asked."""
    PAUSED = "paused"
    """Its activity was paused at the server."""
    LOST = "lost"
    """Its worker sends no heartbeats any more."""
    COMPLETED = "completed"
    FELL_BACK = "fell-back"
    INJECTED = "injected"
    """A static node with a value."""
    SKIPPED = "skipped"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    ABORTED = "abort"
    """Stopped from outside: the run was cancelled, or another node of its graph failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One execution of a node's call.

    `path` is that of the call: it differs for each `retry` of the node, and `number` counts what Temporal
    repeats under one path, from 1. `activity` is the id of its activity, "" for none of its own. `worker` is
    the identity of the process that executed it, None for what the run's own worker executed. Of several
    attempts under one path the history keeps only the last, with the failure of the one before it. `due` is
    when the next one begins, of an attempt in backoff; `beat` is the last heartbeat of one that runs, and
    `paused` says who paused it at the server, and why. `record` is what its worker recorded, `byte_count` the
    bytes of its input and its result in the history.
    """

    path: str
    activity: str = ""
    number: int = 1
    worker: str | None = None
    queue: str | None = None
    scheduled: int | None = None
    started: int | None = None
    ended: int | None = None
    failure: str | None = None
    due: int | None = None
    beat: int | None = None
    paused: str | None = None
    record: CallRecord | None = None
    byte_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """How far the graphs inside a node are: one, or one for each row of a map.

    `total` are all of them, `opened` those that have begun, and of these `done` have a result and `failed`
    a failure. `states` counts the inner nodes by their id and state, over all rows.
    """

    total: int
    opened: int
    done: int
    failed: int
    states: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeModel:
    """One node in one pass of one graph.

    `address` is its place in the run, such as ``chapters[3].summarize@2``, the same for all retries. `parent`
    is the address of the node whose graph it is in, None in the graph of the run; `row` is the row of that
    map, None for no map; `iteration` is the pass of its graph, from 0. `agent` is None for a static node.

    `state` is GraphAI's, `phase` says more. It was `ready` when its inputs were, `started` when it first had
    a slot, and `ended` in its last state. `inputs`, `params` and `result` are UNDEFINED if there are none;
    inputs of a graph agent are in its rows. `usage` are a model's own counts of tokens. `waits_for` are the
    addresses of the nodes that a waiting one still needs; `is_fetching` says that it needs a value of the
    store. `condition` is its `if` or `unless`, such as "if :check.ok", and `condition_value` what that is.
    `placement` is where its calls are executed: activity, segment, local activity, engine or person;
    `queue` is the task queue that the node or its agent asks for. `is_reused` says that its result is that
    of the run which this one repeats, or a value that a person has set. `approved` are the SHA-256 of a call
    that was refused at first, and those who approved it.
    """

    address: str
    node: str
    parent: str | None = None
    row: int | None = None
    iteration: int = 0
    agent: str | None = None
    state: str = "waiting"
    phase: Phase = Phase.WAITING
    ready: int | None = None
    started: int | None = None
    ended: int | None = None
    retries: int = 0
    attempts: tuple[Attempt, ...] = ()
    inputs: Value = UNDEFINED
    params: Value = UNDEFINED
    result: Value = UNDEFINED
    failure: str | None = None
    console: tuple[str, ...] = ()
    usage: Mapping[str, Value] | None = None
    rows: RowCounts | None = None
    placement: str | None = None
    queue: str | None = None
    label: str | None = None
    waits_for: tuple[str, ...] = ()
    is_fetching: bool = False
    condition: str | None = None
    condition_value: Value = UNDEFINED
    is_reused: bool = False
    approved: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class AnsweredCall:
    """A call that has a result: one that failed has none.

    In a rerun, `recalled` is the entry of the record of the earlier run that has answered it, -1 for a value
    that a person has set, None for a call that was executed.
    """

    command: RunAgent
    result: Value
    started: int
    ended: int
    recalled: int | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """A node came to a state. Those of a segment all have the time at which it began."""

    time: int
    address: str
    state: str


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """What a node showed; `address` is "" where that is not known."""

    time: int
    address: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked by the node at `address`, which has done so since it started."""

    prompt: HumanPrompt
    address: str


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution at the server: a run that continues as new has several, oldest first.

    `last_event` is the number of the last event of its history that was read. `by` is what began it, as the
    client said of itself; "" for a worker that continues a run. `byte_count` are the bytes of its events.
    """

    execution: str
    started: int
    last_event: int
    by: str = ""
    byte_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotCounts:
    """How many nodes have a slot, and how many may; the same by label, for the labels that have a limit."""

    running: int
    concurrency: int
    running_by_label: Mapping[str, int] = field(default_factory=dict[str, int])
    limits: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunModel:
    """A run, all of it.

    `state` is Temporal's word in small letters, such as "running"; `chain` are its executions, of which the
    first is missing where the server has removed its history (`is_whole` is then false, and what only that
    one knew is missing). `nodes` are by address: outer graphs before inner ones, rows and passes in their
    order, nodes in the order of the document. `counts` are of phases, over all of them. `transitions` are in
    their order, and `calls` in the order in which they were answered. `request` is what has started it. Of a
    run that people have changed, `graph` is that of now, `interventions` are the changes, and `paused` the
    places that do not start. `closed` are the questions that are over, and `profile` what the policy of its
    worker granted, with its name and digest, None without one.
    It `is_continuing` when its history is so long that it sends no new calls and
    continues as new soon. `position` is where the replay has arrived in the changes of its last execution,
    None before it has begun. `problem` says why a history could not be replayed: then `nodes` are those that
    its events name, with what these say of them, and `transitions` and `calls` are empty.
    `registry` are the agents that its worker has had.
    `attempt` counts how often a worker tried its next step: more than once where steps fail. `moments` are
    the times of the run itself: "transfer" with the store, "waiting" for a worker; from when, to when.
    Of a run that has failed, `failure` is the message and `cause` the same in parts: place, finding, hint.
    """

    id: str
    name: str
    state: str
    graph: Mapping[str, Value]
    chain: tuple[Execution, ...] = ()
    is_whole: bool = True
    started: int | None = None
    ended: int | None = None
    queue: str = ""
    results: Mapping[str, Value] = field(default_factory=dict[str, Value])
    errors: Mapping[str, str] = field(default_factory=dict[str, str])
    failure: str | None = None
    cause: NodeFailure | None = None
    questions: tuple[Question, ...] = ()
    console: tuple[ConsoleLine, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    nodes: Mapping[str, NodeModel] = field(default_factory=dict[str, NodeModel])
    transitions: tuple[Transition, ...] = ()
    calls: tuple[AnsweredCall, ...] = ()
    request: RunRequest | None = None
    paused: Sequence[str] = ()
    interventions: Sequence[Intervention] = ()
    closed: Sequence[Closed] = ()
    profile: Mapping[str, Value] | None = None
    slots: SlotCounts | None = None
    is_continuing: bool = False
    attempt: int = 0
    position: TrailPosition | None = None
    problem: str | None = None
    registry: AgentRegistry | None = None
    moments: Sequence[tuple[str, float, float]] = ()

    @property
    def is_open(self) -> bool:
        """Whether the run has not ended."""
        return self.ended is None

    def node(self, address: str) -> NodeModel:
        """The node at this address, or the only one of this id. Raises UsageError."""
        node = self.nodes.get(address)
        if node is not None:
            return node
        named = [node for node in self.nodes.values() if node.node == address]
        if len(named) == 1:
            return named[0]
        if named:
            hint = f"use one of {', '.join(node.address for node in named[:5])}"
            raise UsageError(f"{len(named)} nodes of run {self.id!r} are called {address!r}", hint=hint)
        raise NotFound(f"run {self.id!r} has no node {address!r}", hint=f"perdure history {self.id}")

    def inside(self, address: str | None, row: int | None = None) -> Iterator[NodeModel]:
        """The nodes of the graphs in the node at `address`, of one `row` or of all; None is the run."""
        for node in self.nodes.values():
            if node.parent == address and (row is None or node.row == row):
                yield node
