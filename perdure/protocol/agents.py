"""The agents of a worker, as a run sees them, and where a call of one therefore goes.

The workflow and the segments of its worker ask the same questions here, so that they agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import inf
from typing import ClassVar, Final, TypedDict

from perdure.engine.fuel import MAX_ACTIVATION_EVENT_COUNT, MAX_RERUN_EVENT_COUNT
from perdure.engine.granting.authority import Authority
from perdure.engine.maps.version_gates import Gates
from perdure.engine.messages import RunAgent
from perdure.errors import FinalError, UsageError
from perdure.graph.fields import OWN_NAMES_PREFIX
from perdure.graph.human_input import APPROVAL
from perdure.graph.values import Value
from perdure.protocol.authorities import authority_by, granted_state, narrowed_profile
from perdure.protocol.records import from_plain

HOST_QUEUES: Final = "@*"
"""Among the queues that graphs may name: those of all hosts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterScope:
    """What a filter of the worker applies to: all calls, or those of some agents and of some nodes.

    None says nothing, an empty list names none. A `pure` filter does no I/O.
    """

    agents: Sequence[str] | None = None
    nodes: Sequence[str] | None = None
    pure: bool = False

    def covers(self, agent: str, node: str) -> bool:
        """Whether the filter applies to calls of `agent` by the node of this id."""
        if self.agents is None and self.nodes is None:
            return True
        return agent in (self.agents or ()) or node in (self.nodes or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRegistry:
    """The agents that the worker of a run knows, as the activity DIRECTORY lists them.

    `human` agents wait for a person, and those that `waits` lists for events or a time, without a worker:
    runs that began under an older version have none; `queues` maps agents to the task queue that they are
    declared with; `allowed_queues` are those that nodes may name in addition to these, "*" for any, "@*" for
    those of all hosts; None, of workers of earlier versions, allows any.
    `local_activities` is the setting, `store` says whether there is one; `filters` are the fields of
    a FilterScope each. `first` is what the pure agents at the beginning of the run returned: the fields of
    a SegmentResult, None if they have to be called. `event_steps` is the fuel of an event of the run
    (perdure.engine.fuel): workers of older versions send none, and their runs never pause.
    `own_queue` is the one on which the worker was asked: the run's agents are there, or on an allowed one.
    `asks_queues` says that the run asks the queues that nodes name for their agents before it calls them,
    and `keys_by_work` that idempotency keys cover the inputs and the attempt (perdure.protocol.idempotency).
    `times_questions` says that the run keeps the times of questions, lists who is asked in a search
    attribute, and accepts answers by signal; `strict_json` that a result with NaN, which is not JSON, or one
    that nests too deeply fails its node.
    `channels` are those for notices of questions: without any, the run sends none and has no reminders;
    `numbers_notices` says that the ids of notices follow from calls, and not from times.
    `page` is where people open the live page, "" for nowhere.
    `agent_wait` are the seconds for which a run may look for another worker that has all of its agents.
    `orders_locals` says that the run takes the results of local activities in the order in which they began,
    and `takes_in_turn` that it takes what arrives as an event after what local activities led to.
    `recalls` says that the calls of a rerun are answered from the record of the run that it repeats,
    `paces_reruns` that a rerun does more than other runs before it pauses,
    and `quorums` that a map may end without all of its rows, `carries` that those may count in a later pass;
    `foresees` that it has few graphs open, and refuses what the quotas cannot end (perdure.engine.fuel), and
    `foresees_rows` that it counts rows inside rows for that, `foresees_open` those that open maps have yet
    to begin; `keeps_in_turn` that it brings large inputs to the store one after another, `bounds_inputs` that
    those of a call may have fewer bytes than other values. `unreused` agents are called again by a rerun,
    `code` has digests of those that the graph names; `moves_rows` says that a change of options holds for
    open rows, `weighs` that the sizes of values are steps (perdure.engine.fuel). `grants` says that what
    graphs may do is looked at, by the `profile`: name, grant and digest of the policy. `labels` are those of
    agents, and where private data may go without a policy: None, anywhere. `eager_sessions` says that calls
    of a session may go to the queue of the run.
    """

    LEAN: ClassVar[bool] = True

    pure: Sequence[str] = ()
    others: Sequence[str] = ()
    human: Sequence[str] = ()
    queues: Mapping[str, str] = field(default_factory=dict[str, str])
    local_activities: bool = True
    store: bool = False
    filters: Sequence[Mapping[str, Value]] = ()
    first: Mapping[str, Value] | None = None
    event_steps: int | None = None
    allowed_queues: Sequence[str] | None = None
    own_queue: str | None = None
    asks_queues: bool = False
    keys_by_work: bool = False
    times_questions: bool = False
    strict_json: bool = False
    agent_wait: float = 0.0
    recalls: bool = False
    orders_locals: bool = False
    takes_in_turn: bool = False
    channels: Sequence[str] = ()
    page: str = ""
    quorums: bool = False
    grants: bool = False
    profile: Mapping[str, Value] | None = None
    waits: Sequence[str] = ()
    foresees: bool = False
    carries: bool = False
    moves_rows: bool = False
    unreused: Sequence[str] = ()
    code: Mapping[str, str] = field(default_factory=dict[str, str])
    labels: Mapping[str, Value] | None = None
    foresees_rows: bool = False
    numbers_notices: bool = False
    weighs: bool = False
    paces_reruns: bool = False
    eager_sessions: bool = False
    foresees_open: bool = False
    keeps_in_turn: bool = False
    bounds_inputs: bool = False

    def names(self) -> list[str]:
        """All agents of the worker."""
        return [*self.pure, *self.others, *self.human, *self.waits]


def narrowed(directory: AgentRegistry, state: Mapping[str, Value] | None) -> AgentRegistry:
    """The agents of a worker for a run that continues with this `state`, None for one that begins.

    A worker with another policy may narrow what the run was granted, but never widens it. A run that began
    when nothing followed data keeps that.
    """
    if state is None:
        return directory
    if not state.get("labelled"):
        directory = replace(directory, labels=None)
    return replace(directory, profile=narrowed_profile(directory.profile, state))


class SchedulerRules(TypedDict):
    """The arguments that a scheduler, new or restored, receives from the worker of its run."""

    agents: frozenset[str]
    event_steps: float
    gates: Gates
    authority: Authority


class Placement:
    """Where the calls of one run go. `bypass_agents` are names that may be no agent's.

    Of the agents that are not pure, `only` these are called, if it is not None: those of a rerun without
    effects.
    """

    def __init__(
        self, directory: AgentRegistry, bypass_agents: Sequence[str] = (), only: Sequence[str] | None = None
    ) -> None:
        self.names = frozenset(directory.names())
        self.human = frozenset({*directory.human, APPROVAL})
        self.waits = frozenset(directory.waits)
        self.has_store = directory.store
        self.asks_queues = directory.asks_queues
        self.keys_by_work = directory.keys_by_work
        self.times_questions = directory.times_questions
        self.strict_json = directory.strict_json
        self.recalls = directory.recalls
        self.orders_locals = directory.orders_locals
        self.takes_in_turn = directory.takes_in_turn
        self.eager_queue = directory.own_queue if directory.eager_sessions else None
        self.event_steps = inf if directory.event_steps is None else directory.event_steps
        self.registry = directory
        self._only = None if only is None else frozenset(only)
        self._pure = frozenset(directory.pure) if directory.local_activities else frozenset[str]()
        self._bypassed = frozenset(bypass_agents)
        self._scopes = [from_plain(FilterScope, scope) for scope in directory.filters]

    def rules(self, queue: str) -> SchedulerRules:
        """What a run on this `queue` is played by."""
        registry = self.registry
        known = registry.profile, registry.pure, queue, registry.labels
        authority = authority_by(*known, counts=registry.grants)
        gates = Gates(**{gate.name: getattr(registry, gate.name) for gate in fields(Gates)})
        return {
            "agents": self.names,
            "event_steps": self.event_steps,
            "gates": gates,
            "authority": authority,
        }

    def pace(self, *, is_rerun: bool) -> int:
        """How many events an activation of the run may take up (perdure.engine.fuel)."""
        is_longer = is_rerun and self.registry.paces_reruns
        return MAX_RERUN_EVENT_COUNT if is_longer else MAX_ACTIVATION_EVENT_COUNT

    def granted(self) -> dict[str, Value]:
        """What the state of a run that continues has of its profile: a later worker must not widen it."""
        return granted_state(self.registry.profile, labelled=self.registry.labels is not None)

    @property
    def profile(self) -> Mapping[str, Value] | None:
        """The name, the grant and the digest of the policy of the run, None without one."""
        return self.registry.profile

    @property
    def principal(self) -> str:
        """Who has started the run, where the profile depends on that; "" otherwise."""
        return str((self.registry.profile or {}).get("principal", ""))

    def is_bypassed(self, agent: str) -> bool:
        """Whether null may replace the agent's result."""
        return agent in self._bypassed

    def is_answered_with_null(self, command: RunAgent) -> bool:
        """Whether there is no such agent, which bypass_agents allows, and no filter could replace it."""
        name = command.agent
        if name not in self._bypassed or name in self.names:
            return False
        return not self.filtered(name, command.node)

    def is_pure(self, command: RunAgent) -> bool:
        """Whether the call may be answered in a segment."""
        options = command.options
        if command.agent not in self._pure or options.queue is not None or options.placement == "activity":
            return False
        if options.session is not None:
            return False
        return not self._scopes or not self.filtered(command.agent, command.node, pure=False)

    def is_excluded(self, agent: str) -> bool:
        """Whether calls of an agent that is not pure are refused."""
        return self._only is not None and agent not in self._only

    def is_local(self, command: RunAgent) -> bool:
        """Whether the call is a local activity of its own: the node says so, and the agent is not pure."""
        return command.options.placement == "local" and not self.is_pure(command)

    def queue(self, command: RunAgent) -> str | None:
        """The task queue that the node or its agent asks for."""
        return command.options.queue or self.registry.queues.get(command.agent)

    def refusal(self, command: RunAgent, queue: str) -> FinalError | None:
        """Why the call may not be sent, in a run on this `queue`.

        The name of an agent is the type of an activity: without a list, a graph could call whatever the
        workers of other applications offer in the namespace, on the authority of this one.
        """
        requested = command.options.queue
        if self.is_excluded(command.agent):
            finding = f"{command.path}: {command.agent} may have effects, and the record has no answer of it"
            return FinalError(finding, hint=f"if it may be called again: --call {command.agent}")
        if command.agent.startswith(OWN_NAMES_PREFIX) and command.agent not in self.names:
            return FinalError(f"{command.path}: {command.agent!r} is an activity of Perdure, not an agent")
        if requested is None or self.may_use(requested, queue):
            return None
        return FinalError(
            f"{command.path}: graphs may not use the task queue {requested!r}", hint=_allow(requested)
        )

    def may_use(self, requested: str, queue: str) -> bool:
        """Whether nodes of a run on this `queue` may name the `requested` one."""
        return requested == queue or self._allows(requested)

    def check_run_queue(self, queue: str) -> None:
        """Raises UsageError where a run may not have its agents on this `queue`.

        Who starts a run need not be a client of Perdure, and may be less trusted than its worker.
        """
        own = self.registry.own_queue
        if own is not None and queue != own and not self._allows(queue):
            raise UsageError(
                f"queue: the run is on {own!r}, and it may not have its agents on {queue!r}",
                hint=_allow(queue),
            )

    def _allows(self, queue: str) -> bool:
        """Whether the worker allows a queue that is not the run's own."""
        allowed = self.registry.allowed_queues
        if allowed is None or "*" in allowed or (queue[:1] == "@" and HOST_QUEUES in allowed):
            return True
        return queue in (*allowed, *self.registry.queues.values())

    def filtered(self, agent: str, node: str, *, pure: bool = True) -> bool:
        """Whether filters apply to calls of `agent` by `node`; those without I/O count if `pure` is set."""
        if not self._scopes:
            return False
        return any(scope.covers(agent, node) for scope in self._scopes if pure or not scope.pure)


def _allow(queue: str) -> str:
    return f"where it serves agents for graphs, start the run's worker with PERDURE_QUEUES={queue}"
