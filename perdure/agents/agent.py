"""Agents: the decorator that declares one, what it knows about its call, what it may call.

An agent is a function, sync or async, that takes any of the keyword arguments `inputs`, `params`
and `context`, and returns a value of the language (see perdure.graph.values):

    @agent("shout", pure=True)
    def shout(inputs: dict, params: dict) -> dict:
        return {"text": inputs["text"].upper()}

The function stays callable as it is; what the decorator knows of it is its `.agent`, an `Agent`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from types import CodeType
from typing import Any, Final, Protocol, TypeVar

from perdure.agents.blobs import received
from perdure.agents.code_digest import code_digest
from perdure.agents.declared_functions import arguments_of, state_and_function
from perdure.agents.local_data import LocalDataAccess
from perdure.agents.type_hints import Typed, typed
from perdure.engine.inbox.events import EventBatch, EventReceipt
from perdure.errors import FinalError
from perdure.graph.values import Value
from perdure.net.call_secrets import NO_SECRETS, CallSecrets
from perdure.policy.grant import Grant
from perdure.policy.labels import AgentLabels
from perdure.protocol.numpy_arrays import with_arrays
from perdure.settings import Settings

Function = TypeVar("Function", bound=Callable[..., Any])
Schema = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A call and its result: shown by `perdure agents NAME`, and run as a test."""

    inputs: Value = field(default_factory=dict[str, Value])
    params: Mapping[str, Value] = field(default_factory=dict[str, Value])
    result: Value = None
    graph: Mapping[str, Value] | None = None


class Emit(Protocol):
    """Sends a piece of the result to those who watch the run, while the agent still works."""

    async def __call__(self, piece: Value, /) -> None:  # noqa: D102 -- part of the data model, as in D105
        ...


class Send(Protocol):
    """Sends events to the run with this id; a `sender` of "" becomes the run of the call."""

    async def __call__(self, run: str, batch: EventBatch, /) -> EventReceipt:  # noqa: D102 -- as in Emit
        ...


async def _emit_nowhere(piece: Value, /) -> None:
    del piece


def _log_nowhere(line: str, /) -> None:
    del line


@dataclass(frozen=True, kw_only=True)
class AgentContext:
    """What an agent may know about the call it serves.

        `node` is the id in its own graph, `path` the place in the whole run, such as
        ``chapters[3].summarize@2``. `retry` counts the failures that the node's `retry` allowed so far;
        `attempt` counts deliveries of this call, from 1: it grows when a worker died or after a transient
    failure. The `idempotency_key` is the same for all of them, across restarts and continue-as-new; a failure
        that `retry` allows changes it, and so do other inputs at the same place.
        `emit` streams pieces of the result, `log` adds a line to the console output of the run.
        `filter_params` include those that filters set; `node_filter_params` are those of the node alone, and
        None without a filter.
        `local_models` gives the base URL of the small models on this machine, with their API key as its
        password, starting them where needed; it is None where they are not installed.
        `send` sends events to another run; it is None where runs cannot be reached.
        `grant` is what the call may do, by the policy of the worker and by its graph: agents that reach hosts
        or files look at it. `secrets` are those that the call may use: `secret` gives the value of one.
        `data` opens local data of the worker by its name, ``context.data("machines").path``; from then on
        the call gives back only what PERDURE_DATA_EGRESS allows.
        `session` is what the session of the call holds: an object of the class of a stateful agent.
    """

    node: str = "node"
    path: str = "node"
    agent: str = "agent"
    run: str = ""
    retry: int = 0
    attempt: int = 1
    idempotency_key: str = ""
    is_result: bool = False
    version: Value = 0.5
    verbose: bool = False
    config: Mapping[str, Value] = field(default_factory=dict[str, Value])
    filter_params: Value = field(default_factory=dict[str, Value])
    node_filter_params: Value = None
    settings: Settings = field(default_factory=Settings)
    emit: Emit = _emit_nowhere
    log: Callable[[str], None] = _log_nowhere
    local_models: Callable[[], Awaitable[str]] | None = None
    send: Send | None = None
    grant: Grant = field(default_factory=Grant)
    data: LocalDataAccess = field(default_factory=LocalDataAccess)
    secrets: CallSecrets = field(default=NO_SECRETS, repr=False)
    session: object | None = field(default=None, repr=False)

    def secret(self, name: str) -> str:
        """The value of a secret that the policy of the worker gives to this agent by name.

        It is replaced by *** in what the agent returns, streams, logs with `log` and fails with, but not in
        what it prints or sends. Raises NotGranted; FinalError for an unknown secret, or one without a value.
        """
        return self.secrets.value(name)


NO_CONTEXT: Final = AgentContext()
"""For agents that do not ask for theirs: to make one takes longer than many a pure agent."""


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A registered agent: its name, its function, and what people and tools may know of it.

    `pure` promises a quick function of its inputs alone: no I/O, no clock, no randomness. Only
    pure agents run as local activities. A `human` agent waits for a person, one that `waits` for events or a
    time: the run itself answers its calls, and never calls its function (perdure.engine.human_tasks, .inbox).
    Without `reuse`, a rerun calls it again for the same inputs. `queue` is for nodes that name none.
    `labels` say what a policy needs to know of the data that it takes and gives, None for nothing.
    In the inputs `blobs`, arrays and byte strings are left to be opened (perdure.agents.blobs.Blob).
    `typed` is what its type hints ask for, None where they ask for nothing (perdure.agents.type_hints).
    A stateful agent has the class `state`, of which each session has an object: `function` is its method.
    """

    name: str
    function: Callable[..., Any]
    pure: bool = False
    description: str = ""
    category: tuple[str, ...] = ()
    inputs: Schema | None = None
    params: Schema | None = None
    output: Schema | None = None
    samples: tuple[Sample, ...] = ()
    queue: str | None = None
    human: bool = False
    waits: bool = False
    reuse: bool = True
    labels: AgentLabels | None = None
    arguments: tuple[str, ...] = ()
    blobs: frozenset[str] = frozenset()
    typed: Typed | None = None
    state: type[Any] | None = None

    @cached_property
    def is_async(self) -> bool:
        """Whether calling the function gives an awaitable; others block their thread."""
        return inspect.iscoroutinefunction(self.function)

    @cached_property
    def code_digest(self) -> str:
        """See perdure.agents.code_digest."""
        return code_digest(self.function)

    @property
    def sees_context(self) -> bool:
        """Whether the function asks for its context."""
        return "context" in self.arguments or self.state is not None

    @cached_property
    def code(self) -> CodeType | None:
        """The code of the function, which identifies the agent in a stack."""
        return getattr(inspect.unwrap(self.function), "__code__", None)

    def call(self, inputs: Value, params: Mapping[str, Value], context: AgentContext) -> Any:
        """Calls the function with the arguments it takes: a value, or an awaitable of one.

        Arrays are numpy's there.
        """
        arguments, values = self.arguments, dict[str, Any]()
        if "inputs" in arguments:
            values["inputs"] = received(inputs, self.blobs)
        if "params" in arguments:
            values["params"] = with_arrays(params)
        if "context" in arguments:
            if self.pure and context.data.known:  # it does no I/O, and no one looks at what it returns
                context = replace(context, data=LocalDataAccess(None))
            values["context"] = context
        function = self.function if self.state is None else self._method(context)
        return function(**values) if self.typed is None else self.typed.call(function, values)

    def _method(self, context: AgentContext) -> Callable[..., Any]:
        if context.session is None:
            hint = "give the node a session, such as session: ':row.id'"
            raise FinalError(
                f"{self.name} keeps state between its calls, and the node has no session", hint=hint
            )
        return partial(self.function, context.session)


def agent(
    name: str,
    *,
    pure: bool = False,
    description: str = "",
    category: tuple[str, ...] | str = (),
    inputs: Schema | None = None,
    params: Schema | None = None,
    output: Schema | None = None,
    samples: tuple[Sample, ...] | list[Sample] = (),
    queue: str | None = None,
    human: bool = False,
    waits: bool = False,
    reuse: bool = True,
    labels: AgentLabels | None = None,
    blobs: tuple[str, ...] = (),
) -> Callable[[Function], Function]:
    """Declares the decorated function to be the agent `name`, or a class whose objects each keep a session.

    `description` defaults to the docstring's first line, schemas to the type hints. Raises TypeError.
    """
    traits: dict[str, Any] = {"pure": pure, "queue": queue, "human": human, "waits": waits, "reuse": reuse}
    traits |= {"labels": labels, "blobs": frozenset(blobs)}

    def declare(function: Function) -> Function:
        state, called = state_and_function(name, function)
        function.agent = Agent(  # type: ignore[attr-defined] -- functions carry attributes
            name=name,
            function=called,
            description=description or _first_line(function),
            category=(category,) if isinstance(category, str) else category,
            **_schemas(typed(name, called), inputs, params, output),
            samples=tuple(samples),
            arguments=arguments_of(name, called, state, blobs),
            state=state,
            **traits,
        )
        return function

    return declare


def _schemas(
    hints: Typed | None, inputs: Schema | None, params: Schema | None, output: Schema | None
) -> dict[str, Any]:
    """The type hints, and the schemas that were declared, or else those of the hints."""
    derived = hints.schema if hints is not None else _nothing
    return {
        "typed": hints,
        "inputs": derived("inputs") if inputs is None else inputs,
        "params": derived("params") if params is None else params,
        "output": derived("return") if output is None else output,
    }


def declared(function: Callable[..., Any]) -> Agent | None:
    """The Agent that `function` was declared to be, or None."""
    agent_attribute = getattr(function, "agent", None)
    return agent_attribute if isinstance(agent_attribute, Agent) else None


def _nothing(of: str) -> None:
    del of


def _first_line(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]
