"""What a worker holds of sessions, and when it throws a state away."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.agents.agent import Agent, agent, declared
from perdure.agents.held_sessions import HeldSessions
from perdure.errors import MalformedPayload, SessionLost
from perdure.graph.values import Value
from perdure.protocol.payloads import AgentCall

pytestmark = pytest.mark.anyio

CLOSED: list[str] = []


@agent("tallyAgent")
class Tally:
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def call(self, inputs: str) -> str:
        self.calls.append(inputs)
        return "".join(self.calls)

    def checkpoint(self) -> Value:
        return "".join(self.calls)

    def restore(self, checkpoint: str) -> None:
        self.calls = [*checkpoint]

    async def close(self) -> None:
        CLOSED.append("".join(self.calls))


def tally() -> Agent:
    agent_of_class = declared(Tally)
    assert agent_of_class is not None
    return agent_of_class


class Held:
    """The sessions of a worker, which are called as its activities call them."""

    def __init__(self) -> None:
        self.sessions = HeldSessions(self._queue)
        self.made: list[str] = []

    async def call(self, inputs: str, ticket: dict[str, Any], path: str = "n") -> list[Value]:
        call = AgentCall(agent="tallyAgent", inputs=inputs, key=path, run="r", keyed_by_work=True)
        return await self.sessions.call(tally(), call, {"id": "a", "every": 1, **ticket}, self._make)

    async def _make(self, state: object, call: AgentCall) -> Value:
        assert isinstance(state, Tally)
        self.made.append(call.inputs)
        return state.call(call.inputs)

    async def _queue(self) -> str:
        return "q"


NEW = {"count": 0, "resume": {"calls": []}}


async def test_a_call_whose_answer_was_lost_is_answered_again_and_not_made_again() -> None:
    held = Held()
    assert await held.call("x", NEW) == ["x", "q", "x"]
    assert await held.call("x", NEW) == ["x", "q", "x"]
    assert await held.call("y", {"count": 1}) == ["xy", "q", "xy"]
    assert held.made == ["x", "y"]


async def test_a_state_that_is_a_call_ahead_or_behind_is_not_used() -> None:
    held = Held()
    with pytest.raises(SessionLost):
        await held.call("x", {"count": 1})
    await held.call("x", NEW)
    with pytest.raises(SessionLost):
        await held.call("y", {"count": 2})
    with pytest.raises(SessionLost):  # what was there is thrown away
        await held.call("y", {"count": 1})


async def test_what_another_worker_has_done_is_done_again_before_a_call() -> None:
    held = Held()
    ticket = {"count": 3, "every": 2, "resume": {"checkpoint": "ab", "calls": [["c", {}, "n", 0]]}}
    assert await held.call("d", ticket) == ["abcd", "q", "abcd"]
    assert held.made == ["c", "d"]
    assert await held.call("e", {"count": 4, "every": 2}) == ["abcde", "q"]


async def test_a_worker_holds_a_thousand_sessions() -> None:
    held = Held()
    CLOSED.clear()
    for number in range(1_000):
        await held.call("x", {**NEW, "id": str(number)})
    assert CLOSED == []
    await held.call("x", {**NEW, "id": "one more"})
    assert CLOSED == ["x"]
    with pytest.raises(SessionLost):
        await held.call("y", {"count": 1, "id": "0"})
    await held.sessions.close()


@pytest.mark.parametrize("ticket", [{}, {"count": -1}, {"count": "1"}, {"count": True}])
async def test_what_is_no_session_is_refused(ticket: dict[str, Any]) -> None:
    with pytest.raises(MalformedPayload):
        await Held().call("x", ticket)
