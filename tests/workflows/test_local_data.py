"""No byte of a worker's local data is in the history, in the store, in the logs or on the wire."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from temporalio.client import GrpcCompression

from perdure.agents.agent import Agent, AgentContext, agent
from perdure.agents.catalog import agents_by_name, catalog, load_agents
from perdure.agents.distributed import plugins
from perdure.client import GraphClient, reach
from perdure.worker import WorkerOptions, build_worker
from tests.support.wire import recorded_wire

pytestmark = pytest.mark.anyio

ROWS = np.random.default_rng(36).standard_normal((40, 3)).astype(np.float32)
LABELS = (ROWS.sum(axis=1) > 0).astype(np.int64)
NAME = "Augusta Ada King"


@plugins.dataset("canaries")
def canaries(site: int | str, context: AgentContext) -> tuple[Any, Any]:
    with np.load(context.data("machines").path / "rows.npz") as file:
        return file["x"], file["y"]


@agent("carelessAgent")
async def careless(inputs: dict[str, Any], context: AgentContext) -> Any:
    """Does everything that it must not do, and one thing that it may."""
    data = context.data("machines")
    name = data.read("name.txt").decode()
    with np.load(data.path / "rows.npz") as file:
        rows = file["x"]
    context.data.took(rows)
    context.log(f"{name} {rows[0].tolist()}")
    await context.emit(name)
    match inputs["how"]:
        case "names":
            return {"rows": [{"name": name}]}
        case "array":
            return {"x": rows}
        case "numbers":
            return {"x": rows.tolist()}
        case "message":
            raise ValueError(f"could not convert string to float: {name!r}")
        case _:
            return {"n": len(rows), "mean": float(rows.mean())}


AGENTS: dict[str, Agent] = {
    **catalog(),
    **load_agents("perdure.agents.distributed.agents"),
    **agents_by_name([careless]),
}
WAYS = ["names", "array", "numbers", "message", "mean"]

MODEL = {"model": "perceptron", "hidden": 200}

GRAPH: dict[str, Any] = {
    "nodes": {
        "start": {"agent": "fedInitAgent", "params": MODEL | {"features": 3, "classes": 2}},
        "fit": {
            "agent": "fedTrainAgent",
            "inputs": {"weights": ":start.weights", "site": "the-north"},
            "params": MODEL | {"data": "canaries"},
            "output": {"n": ".n"},
            "isResult": True,
        },
        "ways": {"value": WAYS},
        "leaks": {
            "agent": "mapAgent",
            "inputs": {"rows": ":ways"},
            "params": {"quorum": 1, "compositeResultKey": "leak"},
            "graph": {
                "nodes": {"leak": {"agent": "carelessAgent", "inputs": {"how": ":row"}, "isResult": True}}
            },
            "isResult": True,
        },
        "elsewhere": {
            "agent": "carelessAgent",
            "queue": "center",
            "inputs": {"how": "mean"},
            "fallback": None,
            "isResult": True,
        },
    },
}


def forms() -> dict[str, bytes]:
    """The canaries as they would be written."""
    written = {f"row {number}": row.tobytes() for number, row in enumerate(ROWS)}
    written |= {f"number {number}": repr(row.tolist()[0]).encode() for number, row in enumerate(ROWS)}
    return written | {"name": NAME.encode()}


async def test_nothing_of_the_data_leaves_its_worker(
    client: GraphClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    folder, store = tmp_path / "machines", Path(client.settings.store or "")
    folder.mkdir()
    np.savez(folder / "rows.npz", x=ROWS, y=LABELS)
    (folder / "name.txt").write_text(NAME)
    async with recorded_wire(client.temporal.service_client.config.target_host) as wire:
        connection: Any = {"target_host": wire.address, "grpc_compression": GrpcCompression.NONE}
        near = replace(client, temporal=await reach(connection))
        settings = replace(near.settings, data={"machines": folder}, queues=("center",), store_above=1024)
        options = WorkerOptions(agents=AGENTS, settings=settings)
        center = replace(options, settings=replace(settings, data={}))
        async with (
            build_worker(near.temporal, "canary", options),
            build_worker(near.temporal, "center", center),
        ):
            run = await near.start(GRAPH, queue="canary", id="canary")
            results = (await run.result()).results
            history = await near.temporal.get_workflow_handle("canary").fetch_history()
    leaks = results["leaks"]
    assert results["fit"] == {"n": len(ROWS)}
    assert leaks["rows"] == [{"n": 40, "mean": float(ROWS.mean())}]
    assert [each["message"].partition("\n")[0].rpartition("'machines'")[2] for each in leaks["missing"]] == [
        ": objects, lists and strings in lists: 1",
        ": arrays of the shape of the rows: 1",
        ": objects, lists and strings in lists: 40; 120 numbers and strings, more than 50",
        "",
    ]
    events = b"".join(event.SerializeToString() for event in history.events)
    places = {"wire": bytes(wire.sent), "history": events, "log": caplog.text.encode()}
    places |= {str(file): file.read_bytes() for file in store.rglob("*") if file.is_file()}
    assert all(b"the-north" in places[place] for place in ("wire", "history"))
    assert any(str(store) + os.sep in place for place in places)
    assert [
        (place, name) for place, text in places.items() for name, form in forms().items() if form in text
    ] == []
