"""A run that people change in every way while it runs, also while a local call outlasts a workflow task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from perdure.agents.agent import agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.engine.steering.request import Steering
from perdure.runs import Run
from tests.support.durable import started
from tests.support.waiting import until

LONG_S = 11.0
"""Seconds of the local call: the server wants to hear of a workflow task after eight."""

TEMPLATE = {"agent": "stringTemplateAgent", "inputs": {"who": ":who.text"}, "isResult": True}
DOCUMENT: dict[str, Any] = {
    "version": 0.5,
    "nodes": {
        "greeting": {"value": "Hi"},
        "who": {"agent": "textInputAgent", "params": {"message": "name?"}},
        "aside": {"agent": "echo", "inputs": {"pause": 0.2}},
        "first": {"agent": "echo", "inputs": {"pause": 60, "text": ":greeting"}},
        "long": {
            "agent": "outlasting",
            "placement": "local",
            "inputs": {"text": ":first.text"},
            "isResult": True,
        },
        "fragile": {"agent": "fragile", "isResult": True},
        "extra": {"agent": "copyAgent", "inputs": {"x": ":who.text"}, "isResult": True},
        "supplied": {"agent": "copyAgent", "inputs": {"x": ":who.text"}, "isResult": True},
        "after": {"agent": "echo", "inputs": {"text": ":who.text"}, "isResult": True},
        "hi": {**TEMPLATE, "params": {"template": "Hi ${who}"}},
        "rows": {
            "agent": "mapAgent",
            "inputs": {"rows": [1, 2, 3], "who": ":who.text"},
            "graph": {
                "nodes": {"each": {"agent": "echo", "inputs": {"pause": 0.5, "n": ":row"}, "isResult": True}}
            },
            "isResult": True,
        },
    },
}


@agent("echo")
async def echo(inputs: dict[str, Any]) -> Any:
    """What it receives, after a pause."""
    await asyncio.sleep(inputs.get("pause", 0))
    return inputs


async def steered(client: GraphClient, name: str) -> Run:
    """The run, at its end."""
    begun = asyncio.Event()
    tries: list[int] = []

    @agent("outlasting")
    async def outlasting(inputs: dict[str, Any]) -> Any:
        """Takes long."""
        begun.set()
        await asyncio.sleep(LONG_S)
        return inputs

    @agent("fragile")
    async def fragile() -> str:
        """Fails once."""
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("not yet")
        return "done"

    agents = {**catalog(), **agents_by_name([echo, outlasting, fragile])}
    async with started(client, name, DOCUMENT, agents, client.settings) as run:
        await _when(run, lambda status: bool(status.questions) and bool(status.failures))
        await run.steer(Steering(pauses=["hi"]), who="anna", why="not before I have looked")
        await run.steer(Steering(retries=["fragile"]), who="anna")
        await run.steer(Steering(skips=["extra"], values={"supplied": {"x": "set"}}), who="bob")
        await run.patch(_changed(), running="cancel", who="bob", why="politer, and sooner")
        await begun.wait()
        together = run.answer("who", "Ada", who="carl", id="1"), run.steer(Steering(resumes=[""]), who="anna")
        await asyncio.gather(*together)
        await run.result()
    return run


def _changed() -> dict[str, Any]:
    nodes = DOCUMENT["nodes"]
    sooner = {**nodes["first"], "inputs": {"pause": 0.1, "text": ":greeting"}}
    return {
        **DOCUMENT,
        "nodes": {**nodes, "hi": {**TEMPLATE, "params": {"template": "Dear ${who}"}}, "first": sooner},
    }


async def _when(run: Run, holds: Callable[[Any], bool]) -> None:
    async def is_so() -> bool:
        status = await run.status()
        return status is not None and holds(status)

    await until(is_so)
