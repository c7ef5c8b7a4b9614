"""What passes between the scheduler and the shell around it: events go in, commands come out.

Every command that starts something carries a `call`, and every event names the call it answers.
A shell may answer in any order, and an answer to a call that is over is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import inf
from typing import Literal, TypeAlias

from perdure.errors import UsageError
from perdure.graph.deferred import Deferred
from perdure.graph.values import UNDEFINED, Value

CallId: TypeAlias = int

FailureState = Literal["failed", "timed-out"]

Then = Literal["queue", "attempt", "result", "iterate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """That the calls of a node belong to a session (perdure.engine.placing.sessions).

    `id` is None until data gives it. The state is kept after every `checkpoint` calls; a `lossy` session
    begins with an empty state where its worker is lost.
    """

    id: str | None = None
    checkpoint: int = 1
    lossy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """How a node's agent is to be called; the keys that GraphAI does not know are Perdure's.

    `timeout` is in milliseconds and bounds one attempt; `backoff` in seconds, the first delay
    between attempts after a transient failure. `queue` and `placement` are None where the agent's
    own apply. `deadline` is in milliseconds, for all attempts of the node; up to `batch` calls that
    are ready together may share an activity. A worker without a sign of life for
    `heartbeat` seconds counts as lost. A call without an answer after `hedge_after` milliseconds is made
    a second time. Calls of a `session` are made one after another, by one worker.
    """

    timeout: float | None = None
    queue: str | None = None
    placement: Literal["activity", "local"] | None = None
    backoff: float | None = None
    deadline: float | None = None
    batch: int = 1
    heartbeat: float | None = None
    hedge_after: float | None = None
    session: SessionOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """What a run may use up, graphs inside it included; it ends with QuotaExceeded beyond that.

    `calls` of agents, retries and attempts that fail at once included, `iterations` of loops, `depth` of
    graphs inside each other, `steps` of the scheduler (perdure.engine.fuel; some five for each call),
    `live` bytes of results that it holds at a time (perdure.engine.live_bytes); `bytes` of values that were
    moved and `seconds` since it began are counted by the durable shell.
    """

    calls: float = 1_000_000
    iterations: float = 1_000_000
    depth: float = 100
    steps: float = 5_000_000
    live: float = 128e6
    bytes: float = 100e9
    seconds: float = inf

    @classmethod
    def of(cls, limits: Mapping[str, float]) -> Quotas:
        """The quotas of these names. Raises UsageError for a name that is none, or a limit that is."""
        names = [item.name for item in fields(cls)]
        for name in limits:
            if name not in names:
                raise UsageError(f"there is no quota {name!r}", hint=f"there are {', '.join(names)}")
        return cls(**limits).checked()

    def checked(self) -> Quotas:
        """These. Raises UsageError for a limit that is not above 0."""
        for item in fields(self):
            limit = getattr(self, item.name)
            if not limit > 0:
                raise UsageError(f"quota {item.name}: {limit:g} is not above 0")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the caller of a run may set: GraphAI's constructor options and host methods, and Perdure's own.

    `injects` are (node, value) pairs for static nodes, applied in order; `graphs` answers graphLoader
    by file name, and None ignores it; `config` is for agents; `bypass_agents` are names that pass the
    checks and give null; `force_loop` lets a loop continue after errors; `loop_count` replaces the loop.
    A durable run continues as new from a history of `events` events on.
    """

    injects: Sequence[tuple[str, Value]] = ()
    config: Mapping[str, Value] = field(default_factory=dict[str, Value])
    graphs: Mapping[str, Value] | None = None
    bypass_agents: Sequence[str] = ()
    force_loop: bool = False
    loop_count: Value = None
    previous_results: Mapping[str, Value] | None = None
    events: int = 4_000
    quotas: Quotas = field(default_factory=Quotas)

    def injecting(self, inputs: Mapping[str, Value]) -> RunOptions:
        """These, with `inputs` put into static nodes after those that `injects` names."""
        return replace(self, injects=(*self.injects, *inputs.items())) if inputs else self


# Not frozen, though no code may change it: one is made for every call, and freezing trebles its cost.
@dataclass(slots=True)
class RunAgent:
    """Call an agent; answer with AgentCompleted or AgentFailed.

    `path` names the call in the whole run and differs for every attempt that the node's `retry`
    allows; `key` is the path without these, the same whenever the same work is done again. `grant` is what
    the call may do, as plain data, None where nothing is restricted.
    """

    call: CallId
    node: str
    path: str
    key: str
    agent: str
    inputs: Value
    params: Mapping[str, Value]
    config: Mapping[str, Value]
    filter_params: Value
    retry: int
    is_result: bool
    version: Value
    verbose: bool
    options: NodeOptions
    grant: Mapping[str, Value] | None = None


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Answer with TimerFired after `milliseconds`, unless CancelCall comes first."""

    call: CallId
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Settle:
    """A nested graph is over: answer with Settled. GraphAI takes `turns` of its loop for it.

    A shell that reproduces GraphAI's order of immediate agents waits that many turns; any other
    answers at once.
    """

    call: CallId
    turns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """The run's control flow depends on a value that is not here: answer with Fetched or AgentFailed.

    The answer is all of the value where `whole` is set, else a small value or the BlobRef of a large
    one. `then` says what continues; `result` is what an agent has returned by then. `carried` is what
    was fetched for the same decision before, by its keys (perdure.engine.resolved_values).
    """

    call: CallId
    deferred: Deferred
    whole: bool
    then: Then
    result: Value = UNDEFINED
    carried: Mapping[str, Value] = field(default_factory=dict[str, Value])


@dataclass(frozen=True, slots=True)
class CancelCall:
    """The call or timer is abandoned: stop it."""

    call: CallId


@dataclass(frozen=True, slots=True)
class Console:
    """A node's `console` asks to show `text`."""

    path: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The run is over: the last command, sent exactly once.

    `failure` is the message of the first failing node in document order, None when there is none.
    """

    all: Mapping[str, Value]
    results: Mapping[str, Value]
    errors: Mapping[str, str] = field(default_factory=dict[str, str])
    failure: str | None = None
    aborted: bool = False


Starting: TypeAlias = RunAgent | StartTimer | Settle | Fetch
"""A command that will be answered."""

Command: TypeAlias = Starting | CancelCall | Console | Finish


# Not frozen, as RunAgent is not.
@dataclass(slots=True)
class AgentCompleted:
    """The agent of this call returned `result`."""

    call: CallId
    result: Value


@dataclass(frozen=True, slots=True)
class AgentFailed:
    """The agent of this call failed; `final` failures are not repeated whatever `retry` says.

    A call that was `refused` may not be made, so the node has no fallback.
    """

    call: CallId
    message: str
    state: FailureState = "failed"
    final: bool = False
    refused: bool = False


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The time asked for by StartTimer has passed."""

    call: CallId


@dataclass(frozen=True, slots=True)
class Settled:
    """The answer to Settle."""

    call: CallId


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer to Fetch."""

    call: CallId
    value: Value


@dataclass(frozen=True, slots=True)
class Abort:
    """Stop everything; the run finishes with the results it has."""


Event: TypeAlias = AgentCompleted | AgentFailed | TimerFired | Settled | Fetched | Abort
