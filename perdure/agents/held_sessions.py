"""The sessions whose state is in this process: an object of a stateful agent's class for each.

Why
    A run knows what it takes to restore a session (perdure.engine.placing.sessions), and a worker holds the
    state itself. A call says after how many calls it comes. Only a state that has had exactly these, or one
    that is restored first, is called.

Invariants
    Calls of a session are made one at a time, also where the server gives a call to this worker again while
    the first attempt still runs. A call that was made and whose answer was lost is answered from memory.
    After a failure, or a call that was cancelled half way, the state is thrown away.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from perdure.agents.agent import Agent
from perdure.agents.invoke import normal
from perdure.agents.threads import in_thread
from perdure.errors import FinalError, MalformedPayload, SessionLost
from perdure.graph.values import UNDEFINED, Value, is_dict
from perdure.protocol.idempotency import key_of
from perdure.protocol.numpy_arrays import with_arrays
from perdure.protocol.payloads import AgentCall

MAX_HELD_SESSION_COUNT: Final = 1_000
"""Sessions that a worker holds: the one that was not called for longest is thrown away for another."""

MAX_SESSION_IDLE_S: Final = 3_600.0
"""Seconds after which a worker throws away a session that is not called."""


CallState: TypeAlias = Callable[[object, AgentCall], Awaitable[Value]]
"""Makes a call on a state."""


@dataclass(slots=True)
class _Held:
    """A session. `fresh` counts the calls since its checkpoint; `key` and `answer` are of the last call."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    state: object | None = None
    count: int = 0
    fresh: int = 0
    key: str = ""
    answer: list[Value] | None = None
    used: float = 0.0

    def forget(self) -> object | None:
        """Throws the state away, and gives what it was."""
        state, self.state, self.count, self.fresh, self.key, self.answer = self.state, None, 0, 0, "", None
        return state


class HeldSessions:
    """The sessions of one worker; `queue` gives the task queue on which it takes their calls.

    Without one, every call brings what it takes to restore the state.
    """

    def __init__(self, queue: Callable[[], Awaitable[str]] | None = None) -> None:
        self._queue = queue
        self._held: OrderedDict[str, _Held] = OrderedDict()

    async def call(
        self,
        agent: Agent,
        call: AgentCall,
        ticket: Mapping[str, Value],
        call_state: CallState,
    ) -> list[Value]:
        """The answer to a call of a session: [result, queue], and the checkpoint where one is due.

        Raises SessionLost where the state is not here and nothing says how to restore it, and whatever the
        agent raises.
        """
        count, every = _number(ticket, "count"), _number(ticket, "every")
        is_lossy = ticket.get("lossy") is True
        if not is_lossy and not hasattr(agent.state, "checkpoint"):
            finding = f"{agent.name} cannot save its state: another worker could not continue the session"
            raise FinalError(
                finding, hint="give it `checkpoint` and `restore`, or say session: {lossy: true}"
            )
        held, key = await self._of(f"{call.run}/{agent.name}/{ticket.get('id')}"), key_of(call)
        async with held.lock:
            if held.answer is not None and held.count == count + 1 and held.key == key:
                return held.answer
            try:
                await self._prepare(agent, held, call, ticket, call_state)
                result = await call_state(held.state, call)
                held.count, held.key, held.fresh = count + 1, key, held.fresh + 1
                held.answer = [result, "" if self._queue is None else await self._queue()]
                if not is_lossy and held.fresh >= every:
                    held.answer.append(await _checkpoint(agent, held.state))
                    held.fresh = 0
            except BaseException:
                await _end(held.forget())
                raise
            return held.answer

    async def close(self) -> None:
        """Throws all sessions away: their runs restore them elsewhere."""
        for held in self._held.values():
            await _end(held.forget())
        self._held.clear()

    async def _of(self, name: str) -> _Held:
        """The place of a session, and room for it."""
        now = time.monotonic()
        held = self._held.pop(name, None) or _Held()
        held.used = now
        self._held[name] = held
        for other, candidate in [*self._held.items()]:
            is_one_too_many = len(self._held) > MAX_HELD_SESSION_COUNT
            if not is_one_too_many and now - candidate.used < MAX_SESSION_IDLE_S:
                break
            if candidate is not held and not candidate.lock.locked():
                del self._held[other]
                await _end(candidate.forget())
        return held

    async def _prepare(
        self, agent: Agent, held: _Held, call: AgentCall, ticket: Mapping[str, Value], call_state: CallState
    ) -> None:
        """Brings the state to where the calls before have brought it. Raises SessionLost."""
        resume = ticket.get("resume")
        if not is_dict(resume):
            if held.state is None or held.count != ticket["count"]:
                raise SessionLost(f"session {ticket.get('id')!r} is not in this worker")
            return
        await _end(held.forget())
        held.state = object() if agent.state is None else agent.state()
        if "checkpoint" in resume:
            await _method(agent, held.state, "restore", with_arrays(resume["checkpoint"]))
        for inputs, params, key, retry in resume.get("calls") or ():
            again = replace(call, inputs=inputs, params=params, key=key, retry=retry)
            await call_state(held.state, again)
            held.fresh += 1


async def _checkpoint(agent: Agent, state: object | None) -> Value:
    value = normal(agent.name, await _method(agent, state, "checkpoint"))
    return None if value is UNDEFINED else value


async def _method(agent: Agent, state: object | None, name: str, *args: Any) -> Any:
    """What a method of the state gives: one that is not async may block, and runs in a thread."""
    method = getattr(state, name)
    if inspect.iscoroutinefunction(method):
        return await method(*args)
    return await in_thread(f"{name} of {agent.name}", method, *args)


async def _end(state: object | None) -> None:
    """Closes a state that is called no more."""
    close = getattr(state, "close", None)
    if close is None:
        return
    with suppress(Exception):
        if inspect.iscoroutinefunction(close):
            await close()
        else:
            await in_thread("close of a session", close)


def _number(ticket: Mapping[str, Value], name: str) -> int:
    value = ticket.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise MalformedPayload(f"the session of a call has no {name}")
    return value
