"""What crosses Temporal: requests, calls, results and status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from perdure.engine.human_tasks import Answer, HumanPrompt
from perdure.engine.messages import Finish, RunOptions
from perdure.engine.state import GraphRun
from perdure.errors import RunFailed
from perdure.graph.values import Value, is_list
from perdure.protocol.failures import NodeFailure
from perdure.protocol.interventions import Intervention
from perdure.protocol.records import INLINE, SPARSE


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What starts a run. The document travels inside, so that a run is pinned to its text.

    `queue` is for agents that name none; clients of older versions set `indexed`: their runs write their end
    in a search attribute. `indexes_questions`: the server knows PerdureAsks. In a run that continues as new,
    `state` is that of the run before it, with the document. On the wire `options` are among the others.
    A rerun has `reuse`: the id of the `run` that it repeats, the `record` of it, and `handles`, what
    its results have in the store (perdure.lineage.record). One without effects has `calls` in it, the agents
    that it may call besides pure ones. The run itself sets the `principal` whose key has signed its start.
    """

    LEAN: ClassVar[bool] = True
    document: Mapping[str, Value]
    name: str = "graph"
    queue: str = "perdure"
    options: RunOptions = field(default_factory=RunOptions, metadata=INLINE)
    indexed: bool = False
    state: Mapping[str, Value] | None = None
    indexes_questions: bool = False
    reuse: Mapping[str, Value] | None = None
    principal: str = ""

    @property
    def only_calls(self) -> Sequence[str] | None:
        """The agents that may be called besides pure ones, None for all."""
        calls = None if self.reuse is None else self.reuse.get("calls")
        return [str(name) for name in calls] if is_list(calls) else None

    @property
    def graph(self) -> Mapping[str, Value]:
        """The document of the run, wherever it is."""
        return self.document if self.state is None else self.state["scheduler"]["documents"][0]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run gave.

    `results` are those of isResult nodes, `all` those of every node; `errors` maps failed nodes to
    messages, `states` every node to its last state. Of a run that failed, `failure` is the message and
    `place` the path of the node that it failed for, the innermost one; "" for none.
    """

    #: Whether fields may be in the store as a whole.
    MAY_BE_STORED: ClassVar[bool] = True

    results: Mapping[str, Value] = field(default_factory=dict[str, Value])
    all: Mapping[str, Value] = field(default_factory=dict[str, Value])
    errors: Mapping[str, str] = field(default_factory=dict[str, str])
    states: Mapping[str, str] = field(default_factory=dict[str, str])
    failure: str | None = None
    place: str = field(default="", metadata=SPARSE)

    @property
    def cause(self) -> NodeFailure | None:
        """Why the run failed, in three parts; None if it did not."""
        return None if self.failure is None else NodeFailure.of(self.place, self.failure)

    def error(self) -> RunFailed | None:
        """The exception for a run that failed; None if it did not."""
        cause = self.cause
        return None if cause is None else RunFailed(cause.finding, self, hint=cause.hint, place=cause.place)

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


# Not frozen, though no code may change it: two are made for every call, and freezing trebles their cost.
@dataclass(slots=True, kw_only=True)
class AgentCall:
    """One call of an agent, as its activity receives it.

    `run` is the first execution's run id and `key` the path in the run: the same for every delivery.
    `timeout` and `deadline`, that of all attempts, are in milliseconds. Without a `bypassed` agent, filters
    answer, or the result is null. `keyed_by_work`: the idempotency key covers the inputs. `grant` is what the
    call may do, None for anything; the worker's policy for the `principal` of the run counts too.

    A call with a `session` has in it the `id`, the `count` of the calls before it, after `every` how many
    calls the state is kept, whether it is `lossy`. `resume` is there where the worker has to restore the
    state: from a `checkpoint`, if there is one, and the `calls` since, each with inputs, params, key and
    retry. The result is [result, task queue of the worker] then, or [result, task queue, checkpoint].
    """

    MAY_BE_STORED: ClassVar[bool] = True

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
    deadline: float | None = None
    keyed_by_work: bool = False
    grant: Mapping[str, Value] | None = None
    session: Mapping[str, Value] | None = None
    principal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCall:
    """Calls of one agent that share an activity: the fields of an AgentCall each, over those `shared`.

    The result is a list with (completed, result), (failed, message, state, final) or (again,) for
    each: the last after a transient failure, when the call is to be repeated.
    """

    calls: Sequence[Mapping[str, Value]]
    shared: Mapping[str, Value] = field(default_factory=dict[str, Value])


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSegmentRequest:
    """A run that begins, for its worker to play ahead: the fields of its RunRequest, its id, its time.

    `now` is in milliseconds since the epoch. Of a run that `continues` another, only the graph is reported.
    A run whose worker lacks agents `needs` another worker, which has these: it is not played then.
    """

    request: Mapping[str, Value]
    run: str = ""
    now: int = 0
    continues: bool = False
    needs: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRequest:
    """The state of a run, from which a segment continues: nothing of it is kept in history.

    `scheduler` is a snapshot, `places` are those of its turns, `now` is in milliseconds since the
    epoch; `directory` holds the fields of the AgentRegistry that the run uses, `request` those of its
    RunRequest except what the snapshot has. In a rerun, `unsent` are open calls that the record may answer,
    and `recalled` the entries of the record that have answered one, as a string of bits.
    """

    scheduler: Mapping[str, Value]
    places: Sequence[Sequence[Value]]
    directory: Mapping[str, Value]
    request: Mapping[str, Value]
    now: int = 0
    run: str = ""
    unsent: Sequence[int] = ()
    recalled: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentResult:
    """What a segment gave: (call, path, result) for an answer, (call, path, null, message, state,
    final) for a failure, in the order of the calls. `alone` is a call that needs an activity of its own.
    `end` holds the fields of the run's RunResult where the answers carry the run to its end. `seconds`
    is what it took, with its wait for a thread.

    In a rerun, `recalled` are the calls that the record has answered, each with the number of its entry, and
    `missed` those that it could not answer. `refusal` says why the record could not be read: the run ends.
    """

    answers: Sequence[Sequence[Value]] = ()
    alone: int | None = None
    console: Sequence[str] = ()
    end: Mapping[str, Value] | None = None
    seconds: float = 0.0
    recalled: Sequence[Sequence[int]] = ()
    missed: Sequence[int] = ()
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class StreamTail:
    """The end of what an attempt has streamed: `text` begins at character `offset` of it all.

    `path` is the place of the call in the run; in a heartbeat, where the server knows it, it is empty.
    There, `account` holds the fields of the AttemptAccount of a call that was repeated.
    """

    attempt: int
    offset: int
    text: str
    path: str = ""
    account: Mapping[str, Value] | None = None


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
    of all lines so far. `streams` are the ends of finished streams; `questions` are open now, and `early`
    are answers to questions to come. `failures` are the first nodes that have failed, inner ones first.
    `paused` are the places of nodes that do not start, "" for all; `interventions` are changes by people.
    """

    name: str = "graph"
    iteration: int = 0
    questions: tuple[HumanPrompt, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    nodes: tuple[NodeStatus, ...] = ()
    streams: tuple[StreamTail, ...] = ()
    console: Sequence[str] = ()
    console_offset: int = 0
    early: tuple[Answer, ...] = ()
    failures: tuple[NodeFailure, ...] = ()
    paused: Sequence[str] = ()
    interventions: tuple[Intervention, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanNotice:
    """What is said of a question on channels of the worker.

    The `event` is asked, reminded (for the time that `number` says), escalated or closed, and `how` is as in
    the result of the node, or cancelled. `id` is the same for every delivery. `run` is the id of the run,
    `graph` the name of its graph. `by` are the answers so far, without their values: who, at. Times are in
    milliseconds since the epoch; `closes` is when the question times out, 0 for never.
    """

    id: str
    event: str
    run: str
    graph: str = "graph"
    path: str = ""
    message: str = ""
    who: Sequence[str] = ()
    channels: Sequence[str] = ()
    at: int = 0
    asked: int = 0
    closes: int = 0
    number: int = 0
    how: str = ""
    by: Sequence[Mapping[str, Value]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChanges:
    """The changes of a run from a number on (perdure.protocol.trail), the one before it included.

    `count` is the number of all changes of the execution; `changes` is None where they are not kept any more.
    `open` are the nodes whose graphs run, by address: how many graphs, and how many of them are open.
    `questions`, `console` and `console_offset` are as in RunStatus.
    """

    count: int = 0
    changes: Sequence[Sequence[Value]] | None = None
    open: Mapping[str, Sequence[int]] = field(default_factory=dict[str, Sequence[int]])
    questions: tuple[HumanPrompt, ...] = ()
    console: Sequence[str] = ()
    console_offset: int = 0
