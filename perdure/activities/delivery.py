"""One attempt of an activity: what its calls share, and what is sent with their results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from perdure.activities.heartbeat import Heartbeat
from perdure.agents.agent import Agent, AgentContext
from perdure.agents.blobs import parted
from perdure.graph.values import Value
from perdure.protocol.console import newest
from perdure.protocol.payloads import AgentCall
from perdure.storage.known_values import KnownValues

MAX_CALL_CONSOLE_COUNT = 200
"""Console lines that one call may leave behind: the newest, no more than MAX_CALL_CONSOLE_BYTES."""

MAX_CALL_CONSOLE_BYTES = 50_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt of an activity, for all its calls. Where something in them is deferred, it is `far`.

    `context` is for calls that see nothing of theirs: to make one takes longer than many a call. `known` is
    what the calls received from the store.
    """

    heartbeat: Heartbeat
    far: bool
    context: AgentContext
    console: list[str] = field(default_factory=list[str])
    known: KnownValues = field(default_factory=KnownValues)

    def near(self, call: AgentCall, agent: Agent | None) -> Value:
        """What the result of a call may have in common with the store: inputs that it got copies of."""
        if not self.far or agent is None or not agent.blobs:
            return call.inputs if self.far else None
        return parted(call.inputs, agent.blobs)[0]

    def metadata(self) -> dict[str, Any]:
        """The metadata that is sent with the result."""
        lines = newest(self.console, MAX_CALL_CONSOLE_COUNT, MAX_CALL_CONSOLE_BYTES)
        return {"console": lines, "stream": self.heartbeat.last()}
