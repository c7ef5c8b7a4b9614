"""The sessions of a run in memory: the order of their calls, and the objects that keep their state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from perdure.agents.agent import Agent
from perdure.agents.held_sessions import HeldSessions
from perdure.engine.messages import AgentFailed, RunAgent
from perdure.engine.placing.sessions import SESSION_QUEUE_PREFIX, Sessions
from perdure.errors import FinalError
from perdure.graph.values import Value
from perdure.protocol.idempotency import key_of
from perdure.protocol.payloads import AgentCall


class MemorySessions:
    """Those of one run. A state is thrown away and restored where it would be in a durable run."""

    def __init__(self) -> None:
        self.order = Sessions()
        self._held = HeldSessions(self._queue)

    async def call(
        self,
        agent: Agent | None,
        command: RunAgent,
        call_state: Callable[[object, Value, Mapping[str, Value], str], Awaitable[Value]],
    ) -> Value:
        """The result of a call, which `call_state` makes on a state, with inputs, params and a key.

        Raises what the agent raises, and SessionLost.
        """
        ticket = self.order.ticket(command)
        if agent is None or ticket is None:
            raise FinalError(f"there is no agent {command.agent!r} that could keep state")

        async def make(state: object, call: AgentCall) -> Value:
            return await call_state(state, call.inputs, call.params, key_of(call))

        call = AgentCall(
            agent=agent.name,
            inputs=command.inputs,
            params=command.params,
            key=command.key,
            run="memory",
            retry=command.retry,
            keyed_by_work=True,
        )
        return self.order.answered(command, await self._held.call(agent, call, ticket, make))

    def lost(self, command: RunAgent) -> AgentFailed | None:
        """The state of a call is lost: it is to be made again, unless that has happened too often."""
        return self.order.lost(command)

    async def close(self) -> None:
        """The run is over."""
        await self._held.close()

    async def _queue(self) -> str:
        return f"{SESSION_QUEUE_PREFIX}memory"
