"""Filters: functions around the calls of agents, on the worker. They may change a call, or answer it.

    async def louder(call: Call, next: Next) -> Value:
        result = await next(replace(call, params={**call.params, "volume": 11}))
        return {**result, "loud": True}

    AgentFilter("louder", louder, agents=("shout",))

Filters that apply to a call run in the order of the list, the first outermost, in nested graphs
as well. They count against the node's `timeout`, and what they raise is the node's failure. They do
not see what the engine carries out itself: graph agents (whose nodes they do see) and agents that
wait for a person. A name in `bypass_agents` that is not an agent is left to the filters: `call.agent` is
None then, and so is the result if none of them answers.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from perdure.agents.agent import Agent, AgentContext
from perdure.agents.shipped.objects import spread
from perdure.graph.values import Value
from perdure.protocol.agents import FilterScope


@dataclass(frozen=True, kw_only=True)
class FilteredCall:
    """One call of an agent, on its way through the filters. `agent` is None for a bypassed name."""

    agent: Agent | None
    inputs: Value
    params: Mapping[str, Value]
    context: AgentContext


Next: TypeAlias = Callable[[FilteredCall], Awaitable[Value]]
"""Hands a call on to the next filter, or to the agent, and gives its result."""

Filter: TypeAlias = Callable[[FilteredCall, Next], Awaitable[Value]]


@dataclass(frozen=True)
class AgentFilter:
    """A filter, and the calls that it applies to.

    It applies to every call if neither `agents` nor `nodes` is set, else to calls of one of
    these agents, and to calls by nodes of one of these ids, whichever graph they are in. An empty
    tuple names none. `filter_params` are defaults for the `filterParams` of the node, and win over
    those of later filters. `pure` promises a quick function without I/O: with any other filter a
    pure agent runs as an activity of its own.
    """

    name: str
    function: Filter
    agents: tuple[str, ...] | None = None
    nodes: tuple[str, ...] | None = None
    filter_params: Mapping[str, Value] = field(default_factory=dict[str, Value])
    pure: bool = False

    def __post_init__(self) -> None:
        called = getattr(self.function, "__call__", None)  # noqa: B004 -- an object may be the filter
        if not (inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(called)):
            raise TypeError(f"filter {self.name!r}: its function is not async; write `async def`")
        for of, names in (("agents", self.agents), ("nodes", self.nodes)):
            if isinstance(names, str):
                raise TypeError(f"filter {self.name!r}: {of} must be a sequence; write ({names!r},)")

    @property
    def scope(self) -> FilterScope:
        """What it applies to, as runs see it."""
        return FilterScope(agents=self.agents, nodes=self.nodes, pure=self.pure)


def applying(filters: Sequence[AgentFilter], agent: str, node: str) -> tuple[AgentFilter, ...]:
    """Those of `filters` that apply to calls of `agent` by `node`, in order."""
    return tuple(one for one in filters if one.scope.covers(agent, node))


async def through(filters: Sequence[AgentFilter], call: FilteredCall, last: Next) -> Value:
    """The result of `call` through all of `filters`, the first outermost, and then `last`."""
    if not filters:
        return await last(call)
    first, rest = filters[0], filters[1:]
    context = call.context
    defaults, own = context.filter_params, context.node_filter_params
    filter_params = {**first.filter_params, **spread(defaults)}
    context = replace(
        context, filter_params=filter_params, node_filter_params=spread(defaults) if own is None else own
    )
    call = replace(call, context=context)

    async def following(handed_on: FilteredCall, /) -> Value:
        return await through(rest, handed_on, last)

    return await first.function(call, following)
