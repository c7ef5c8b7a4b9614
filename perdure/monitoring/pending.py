"""The questions that open runs ask: how the server finds the runs."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.client import Client

from perdure.engine.human_tasks import HumanPrompt
from perdure.engine.questions import ANYBODY
from perdure.protocol.names import ASKS_ATTRIBUTE
from perdure.temporal.search_attributes import knows_attributes


@dataclass(frozen=True, slots=True)
class PendingQuestion:
    """A question that waits for an answer, and the id of its run."""

    run: str
    prompt: HumanPrompt

    def is_for(self, who: str | None) -> bool:
        """Whether this person or group is asked, or anybody; None for all."""
        return who is None or not self.prompt.who or who in self.prompt.who


async def pending_filter(temporal: Client, who: str | None) -> str:
    """Temporal's list filter for open runs that ask, or for all open runs without the search attribute."""
    query = "ExecutionStatus = 'Running'"
    if not await knows_attributes(temporal, {ASKS_ATTRIBUTE}):
        return query
    if who is None:
        return f"{query} AND {ASKS_ATTRIBUTE} IS NOT NULL"
    name = who.replace("\\", "\\\\").replace("'", "\\'")
    return f"{query} AND {ASKS_ATTRIBUTE} IN ('{name}', '{ANYBODY}')"
