"""A run of a session whose state is lost once."""

from __future__ import annotations

from typing import Any

from perdure import agent
from perdure.client import GraphClient
from perdure.errors import SessionLost
from perdure.runs import Run
from perdure.worker import serving


@agent("tallyAgent")
class Tally:
    """Adds up; its first object loses its state in the fourth call."""

    lost = False

    def __init__(self) -> None:
        self.total = 0

    def call(self, inputs: dict[str, Any]) -> int:
        if inputs["add"] == 4 and not Tally.lost:
            Tally.lost = True
            raise SessionLost("the connection is closed")
        self.total += inputs["add"]
        return self.total

    def checkpoint(self) -> int:
        return self.total

    def restore(self, checkpoint: int) -> None:
        self.total = checkpoint


GRAPH: dict[str, Any] = {
    "version": 0.5,
    "loop": {"count": 5},
    "nodes": {
        "add": {"value": 1, "update": ":add.add(1)"},
        "sum": {
            "agent": "tallyAgent",
            "session": {"id": "a", "checkpoint": 2},
            "inputs": {"add": ":add"},
            "isResult": True,
        },
    },
}


async def kept_session(client: GraphClient, name: str) -> Run:
    """The run, which has ended."""
    Tally.lost = False
    async with serving(client, [Tally], queue=f"test-{name}"):
        run = await client.start(GRAPH, name=name, queue=f"test-{name}")
        result = await run.result()
    assert result.results == {"sum": 15}, result
    return run
