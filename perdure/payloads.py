"""What crosses Temporal: requests, calls, results and status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any, TypeVar

from perdure.engine.messages import Finish, Quotas, RunOptions
from perdure.engine.state import GraphRun
from perdure.graph.values import Value

Payload = TypeVar("Payload")

SEGMENT = "perdure.segment"
"""The local activity that answers many calls of pure agents at once."""

FETCH = "perdure.fetch"
"""The local activity that tells a run of a value which is in the store."""

KEEP = "perdure.keep"
"""The local activity that brings large values of a run to the store."""

TOO_LARGE_FOR_LOCAL = "TooLargeForLocal"
"""The error type by which a local activity asks to be called again as a remote one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What starts a run. The document travels inside, so that a run is pinned to its text.

    `injects` are (node, value) pairs; `queue` is the task queue for agents that name none;
    `indexed` tells that the server knows Perdure's search attributes. `quotas` bound what the run may
    use up (perdure.engine.messages.Quotas, and `bytes`, and `seconds`). From a history of `events`
    on, a run continues as new: `state` is then what it has come to, and the document is in it.
    """

    document: Mapping[str, Value]
    name: str = "graph"
    queue: str = "perdure"
    injects: Sequence[Sequence[Value]] = ()
    config: Mapping[str, Value] = field(default_factory=dict[str, Value])
    graphs: Mapping[str, Value] | None = None
    bypass_agents: Sequence[str] = ()
    force_loop: bool = False
    loop_count: Value = None
    previous_results: Mapping[str, Value] | None = None
    indexed: bool = False
    events: int = 4_000
    quotas: Mapping[str, float] = field(default_factory=dict[str, float])
    state: Mapping[str, Value] | None = None

    @property
    def graph(self) -> Mapping[str, Value]:
        """The document of the run, wherever it is."""
        return self.document if self.state is None else self.state["scheduler"]["documents"][0]

    def options(self) -> RunOptions:
        """What the scheduler is told."""
        return RunOptions(
            injects=[(str(name), value) for name, value in self.injects],
            config=self.config,
            graphs=self.graphs,
            bypass_agents=self.bypass_agents,
            force_loop=self.force_loop,
            loop_count=self.loop_count,
            previous_results=self.previous_results,
            quotas=Quotas.of(self.quotas),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run gave.

    `results` are those of isResult nodes, `all` those of every node; `errors` maps failed nodes to
    messages, `states` every node to its last state.
    """

    results: Mapping[str, Value] = field(default_factory=dict[str, Value])
    all: Mapping[str, Value] = field(default_factory=dict[str, Value])
    errors: Mapping[str, str] = field(default_factory=dict[str, str])
    states: Mapping[str, str] = field(default_factory=dict[str, str])
    failure: str | None = None

    @classmethod
    def of(cls, finish: Finish, root: GraphRun) -> RunResult:
        """That of a run of `root` that has come to its end."""
        return cls(
            results=finish.results,
            all=finish.all,
            errors=finish.errors,
            states={name: str(root.nodes[name].state) for name in root.plan.order},
            failure=finish.failure,
        )


# Not frozen, though nobody may change it: two are made for every call, and freezing trebles their cost.
@dataclass(slots=True, kw_only=True)
class AgentCall:
    """One call of an agent, as its activity receives it.

    `run` is the first execution's run id and `key` the path in the run: together they are the same
    for every delivery of the same work. `timeout` is in milliseconds. A `bypassed` agent may be
    unknown: then filters answer, or the result is null.
    """

    agent: str
    inputs: Value
    params: Mapping[str, Value] = field(default_factory=dict[str, Value])
    config: Mapping[str, Value] = field(default_factory=dict[str, Value])
    filter_params: Value = field(default_factory=dict[str, Value])
    node: str = "node"
    path: str = "node"
    key: str = "node"
    run: str = ""
    retry: int = 0
    is_result: bool = False
    version: Value = 0.5
    verbose: bool = False
    timeout: float | None = None
    bypassed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCall:
    """Calls of one agent that share an activity: the fields of an AgentCall each, over those `shared`.

    The result is a list with (completed, result), (failed, message, state, final) or (again,) for
    each: the last where the world failed and the call is to be repeated.
    """

    calls: Sequence[Mapping[str, Value]]
    shared: Mapping[str, Value] = field(default_factory=dict[str, Value])


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """A run that begins, for its worker to play ahead: the fields of its RunRequest, its id, its time.

    `now` is in milliseconds since the epoch. Of a run that `continues` another only the graph is told.
    """

    request: Mapping[str, Value]
    run: str = ""
    now: int = 0
    continues: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRequest:
    """Where a run stands, for a segment to play on from: nothing of it is kept in history.

    `scheduler` is a snapshot, `places` are those of its turns, `now` is in milliseconds since the
    epoch; `directory` holds the fields of the Directory that the run goes by, `request` those of its
    RunRequest but for what the snapshot has.
    """

    scheduler: Mapping[str, Value]
    places: Sequence[Sequence[Value]]
    directory: Mapping[str, Value]
    request: Mapping[str, Value]
    now: int = 0
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentResult:
    """What a segment gave: (call, path, result) for an answer, (call, path, null, message, state,
    final) for a failure, in the order of the calls. `alone` is a call that needs an activity of its own.
    `end` holds the fields of the run's RunResult where the answers carry the run to its end. `seconds`
    is what it took, with its wait for a thread.
    """

    answers: Sequence[Sequence[Value]] = ()
    alone: int | None = None
    console: Sequence[str] = ()
    end: Mapping[str, Value] | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StreamTail:
    """The end of what an attempt has streamed: `text` begins at character `offset` of it all."""

    attempt: int
    offset: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person answers to the question at `path` (or of the one node of this id that asks)."""

    path: str
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """One row of a run's status. `since` is in milliseconds since the epoch.

    Of a node with a graph, `done` of `total` are the runs of that graph: one, or one for each row.
    """

    path: str
    state: str
    agent: str | None = None
    queue: str | None = None
    since: int = 0
    retries: int = 0
    error: str | None = None
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """What a run is doing now: counts of node states, the nodes worth a look, what is asked of people.

    `console` are the lines from the number that the caller asked for, `console_offset` the number
    of all lines so far. `streams` are the ends of finished streams, fields of StreamTail with their
    `path`. `questions` are those of perdure.engine.people.Question, open now.
    """

    name: str = "graph"
    iteration: int = 0
    questions: Sequence[Mapping[str, Value]] = ()
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    nodes: Sequence[Mapping[str, Value]] = ()
    streams: Sequence[Mapping[str, Value]] = ()
    console: Sequence[str] = ()
    console_offset: int = 0


def to_plain(payload: object) -> dict[str, Value]:
    """The fields of a payload as a mapping, one level deep."""
    return {name: getattr(payload, name) for name in _defaults(type(payload))}


def to_lean(payload: object) -> dict[str, Value]:
    """The same, without those that are what they are by default."""
    plain, defaults = to_plain(payload), _defaults(type(payload))
    return {name: value for name, value in plain.items() if value != defaults[name]}


def from_plain(kind: type[Payload], data: Mapping[str, Any]) -> Payload:
    """The payload of class `kind` from its fields; those it does not know are left out."""
    known = _defaults(kind)
    if data.keys() <= known.keys():
        return kind(**data)
    return kind(**{key: value for key, value in data.items() if key in known})


@cache
def _defaults(kind: type[Any]) -> Mapping[str, Any]:
    """The names of the fields, and what they are by default; MISSING where they have to be given."""
    found = {item.name: (item.default, item.default_factory) for item in fields(kind)}
    return {name: value if make is MISSING else make() for name, (value, make) in found.items()}
