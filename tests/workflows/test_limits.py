"""The limits table: values of five sizes in seven places. All end, and as they should; none is stuck."""

import asyncio
from typing import Any

import pytest

from perdure.agents.agent import agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.errors import RunFailed
from perdure.runs import Run
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio

SIZES = [250_000, 1_900_000, 2_100_000, 4_100_000, 50_000_000]
SECONDS = 60
COPY = {"agent": "copyAgent", "params": {"namedKey": "v"}, "inputs": {"v": ":v"}}
LENGTH = {"agent": "measure", "inputs": {"v": ":a"}, "isResult": True}


@agent("make")
async def make(params: dict[str, Any]) -> str:
    return "y" * params["size"]


@agent("measure", pure=True)
def measure(inputs: dict[str, Any]) -> int:
    return len(inputs["v"])


@agent("blame")
async def blame(params: dict[str, Any]) -> None:
    raise ValueError("z" * params["size"])


AGENTS = {**catalog(), **{each.agent.name: each.agent for each in (make, measure, blame)}}
MAKE = {"agent": "make"}


def graph_of(place: str, size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The nodes and inputs of a run that has a value of `size` bytes at `place`."""
    made = {**MAKE, "params": {"size": size}}
    asked = {"agent": "textInputAgent"}
    rows = {"agent": "mapAgent", "inputs": {"rows": ":v"}, "graph": {"nodes": {"a": COPY_ROW}}}
    return {
        "input": ({"v": {}, "a": COPY, "n": LENGTH}, {"v": "x" * size}),
        "static node": ({"v": {"value": "x" * size}, "a": COPY, "n": LENGTH}, {}),
        "agent result": ({"a": made, "n": LENGTH}, {}),
        "map rows": ({"v": {"value": ["x" * (size // 50)] * 50}, "a": rows, "n": LENGTH}, {}),
        "final result": ({"a": {**made, "isResult": True}, "n": LENGTH}, {}),
        "answer": ({"v": asked, "a": {**COPY, "inputs": {"v": ":v.text"}}, "n": LENGTH}, {}),
        "error text": ({"v": {"agent": "blame", "params": {"size": size}}}, {}),
    }[place]


COPY_ROW = {**COPY, "inputs": {"v": ":row"}, "isResult": True}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "place", ["input", "static node", "agent result", "map rows", "final result", "answer", "error text"]
)
async def test_limits(client: GraphClient, place: str, size: int) -> None:
    nodes, inputs = graph_of(place, size)
    queue = f"limits-{place}-{size}"
    options = WorkerOptions(agents=AGENTS, settings=client.settings)
    async with asyncio.timeout(SECONDS), build_worker(client.temporal, queue, options):
        going = await client.start({"nodes": nodes}, inputs, name="limits", queue=queue)
        if place == "answer":
            await _answer(going, "x" * size)
        if place == "error text":
            with pytest.raises(RunFailed, match=r"ValueError: z+ … \(\d+ characters more\)"):
                await going.result()
        else:
            result = await going.result()
            assert result.results["n"] == (50 if place == "map rows" else size)
            assert place != "final result" or result.results["a"] == "y" * size
        history = await going.handle.fetch_history()
    # fifty rows of five kilobytes are each below what is kept elsewhere
    assert sum(event.ByteSize() for event in history.events) < (2_500_000 if place == "map rows" else 60_000)


async def _answer(going: Run, text: str) -> None:
    while True:
        status = await going.status()
        if status is not None and status.questions:
            break
        await asyncio.sleep(0.05)
    await going.answer("v", text)
