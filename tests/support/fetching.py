"""A map over a list in the store: what each row starts with decides something, so the run asks for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from perdure.agents.agent import agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.runs import Run
from tests.support.durable import started


@agent("remoteStep")
async def remote_step(inputs: dict[str, Any]) -> str:
    """Its text."""
    return inputs["text"]


def document() -> dict[str, Any]:
    template = {"agent": "stringTemplateAgent", "inputs": {"x": ":text"}, "params": {"template": "${x}"}}
    inner = {
        "nodes": {
            "last": template,
            "end": {"agent": "copyAgent", "inputs": {"text": ":last"}, "isResult": True},
        }
    }
    inputs = {"text": ":row.$0", "after": ":first"}
    row = {
        "first": {"agent": "remoteStep", "inputs": {"text": "x"}},
        "each": {"agent": "nestedAgent", "inputs": inputs, "graph": inner, "isResult": True},
    }
    rows = {"agent": "mapAgent", "inputs": {"rows": ":rows"}, "graph": {"nodes": row}, "isResult": True}
    return {"version": 0.5, "concurrency": 16, "nodes": {"rows": {"agent": "rowsAgent"}, "map": rows}}


def rows(count: int) -> list[list[str]]:
    """Each is too large for the history where values above 1,000 bytes go to the store."""
    return [[f"{number} " * 100] for number in range(count)]


@asynccontextmanager
async def fetching(client: GraphClient, name: str, count: int) -> AsyncGenerator[Run]:
    """The run over this many rows, and a worker for it."""

    @agent("rowsAgent")
    async def rows_agent() -> Any:
        return rows(count)

    agents = {**catalog(), **agents_by_name([remote_step, rows_agent])}
    settings = replace(client.settings, store_above=1_000)
    async with started(client, name, document(), agents, settings) as run:
        yield run
