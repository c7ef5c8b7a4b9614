"""Arrays and byte strings pass through a durable run as they pass through one in memory."""

import math
from typing import Any

import numpy as np
import pytest

from perdure.agents.agent import agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.errors import RunFailed
from perdure.memory.shell import memory_shell
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio


@agent("startAgent")
async def start(params: dict[str, Any]) -> dict[str, Any]:
    odd = np.array([math.nan, -0.0, math.inf])
    return {
        "weights": {
            "w": np.arange(6, dtype="float32").reshape(2, 3),
            "odd": odd,
            "more": np.ones(params["more"]),
        },
        "samples": np.int64(7),
        "photo": b"\x00\xff",
    }


@agent("scaleAgent", pure=True)
def scale(inputs: dict[str, Any]) -> dict[str, Any]:
    return {name: array * inputs["by"] for name, array in inputs["weights"].items()}


@agent("readAgent")
async def read(inputs: dict[str, Any]) -> dict[str, Any]:
    first = inputs["w"]
    facts = {"type": str(first.dtype), "rows": first.tolist(), "writable": bool(first.flags.writeable)}
    return facts | {"photo": list(inputs["photo"]), "shape": inputs["shape"]}


AGENTS = {**catalog(), **{each.agent.name: each.agent for each in (start, scale, read)}}  # type: ignore[attr-defined] -- functions carry attributes

GRAPH = {
    "nodes": {
        "given": {"value": None},
        "start": {"agent": "startAgent", "params": {"more": 0}},
        "scaled": {
            "agent": "scaleAgent",
            "inputs": {"weights": ":start.weights", "by": ":start.samples"},
            "isResult": True,
        },
        "read": {
            "agent": "readAgent",
            "inputs": {"w": ":scaled.w", "photo": ":start.photo", "shape": ":start.weights.w.shape"},
            "isResult": True,
        },
        "copy": {"agent": "copyAgent", "inputs": {"given": ":given", "all": ":start"}, "isResult": True},
    }
}

INPUTS = {"given": {"g": np.array([[True, False]])}}


def bits(value: Any) -> Any:
    """A value that compares arrays by type, shape and bytes."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    return {key: bits(item) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("more", [0, 50_000], ids=["payload", "store"])
async def test_both_shells_give_the_same_bits(client: GraphClient, more: int) -> None:
    graph = {"nodes": {**GRAPH["nodes"], "start": {"agent": "startAgent", "params": {"more": more}}}}
    memory = await memory_shell(graph, AGENTS, INPUTS).run()
    async with build_worker(
        client.temporal, "binary", WorkerOptions(agents=AGENTS, settings=client.settings)
    ):
        run = await client.start(graph, INPUTS, name="binary", queue="binary")
        result = await run.result()
        history = await run.handle.fetch_history()
    assert sum(event.ByteSize() for event in history.events) < 60_000
    assert bits(result.results) == bits(memory.results)
    assert bits(result.results["scaled"])["odd"] == (
        "<f8",
        (3,),
        (np.array([math.nan, -0.0, math.inf]) * 7).tobytes(),
    )
    assert result.results["read"] == {
        "type": "float32",
        "rows": [[0, 7, 14], [21, 28, 35]],
        "writable": False,
        "photo": [0, 255],
        "shape": [2, 3],
    }
    assert result.results["copy"]["given"]["g"].dtype == bool


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            {"agent": "stringTemplateAgent", "inputs": {"text": "${:start.photo}"}},
            r"\[2 bytes\] cannot be written as text",
        ),
        (
            {"agent": "copyAgent", "inputs": {"text": ":start.weights.toJSON()"}},
            "cannot be written as text or JSON",
        ),
        ({"agent": "objectAgent"}, "a value of type set cannot pass"),
        ({"agent": "objectsAgent"}, "an array of object cannot pass"),
    ],
)
async def test_what_json_or_an_array_cannot_hold_fails_the_node(node: Any, message: str) -> None:
    @agent("objectAgent")
    async def give_set() -> Any:
        return {"a": {1}}

    @agent("objectsAgent")
    async def give_objects() -> Any:
        return np.array([object()])

    agents = AGENTS | {each.agent.name: each.agent for each in (give_set, give_objects)}  # type: ignore[attr-defined] -- functions carry attributes
    document = {"nodes": {"start": GRAPH["nodes"]["start"], "n": node}}
    with pytest.raises(RunFailed, match=message):
        await memory_shell(document, agents).run()
