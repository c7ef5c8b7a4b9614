"""Records the histories again: python -m tests.replay.record [NAME]…

Each is the history of one run on the durable shell: every example, and every graph of graphs/. Record
only what is new, or what a gated change of the workflow made different: the old ones are the test.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Worker

from perdure import ExternalEvent, local
from perdure.agents.agent import agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.errors import RunFailed
from perdure.graph.text.load import load
from perdure.lineage.change import Change
from perdure.runs import Run
from tests.support import ROOT, durable, examples
from tests.support.approved import approved
from tests.support.draining import drained
from tests.support.fetching import fetching
from tests.support.histories import FOLDER, GRAPHS, private_texts
from tests.support.lacking import lacking
from tests.support.moved import moved
from tests.support.paced import paced
from tests.support.portions import continued
from tests.support.servers import Answer, serve
from tests.support.sessions import kept_session
from tests.support.steered import steered
from tests.support.uneven import uneven

STORIES = {
    "approved": approved,
    "drained": drained,
    "eager_session": kept_session,
    "lacking": lacking,
    "moved": moved,
    "paced": paced,
    "session": kept_session,
    "steered": steered,
}
"""Runs that more than a graph makes what they are."""

NOTIFYING = ("notices", "numbered_notices")
"""Graphs whose worker has a channel for notices."""

FETCHING = {"fetches": 8, "arrivals": 24}
"""Maps over values of the store, with their rows: the second takes in turn what arrives as an event."""


async def record(names: Sequence[str]) -> None:
    """Runs what `names` name, all without names, and writes the histories."""
    with tempfile.TemporaryDirectory() as home:
        async with durable.embedded(Path(home) / "home", "off") as client:
            for example in examples.EXAMPLES:
                if not names or example.name in names:
                    async with examples.started(example, client) as run:
                        await _keep(run, example.name)
            for path in GRAPHS:
                if not names or path.stem in names:
                    await _record_graph(client, path)
            for name, story in STORIES.items():
                if not names or name in names:
                    await _keep(await story(client, name), name)
            await _record_fetching(client, [name for name in FETCHING if not names or name in names])
            if not names or "uneven" in names:
                async with uneven(client, "uneven", 10, large_every=1_000) as run:
                    await _keep(run, "uneven")
            if not names or "portions" in names:
                _write(await continued(client, "portions"), "portions")
            local.stop(client.settings)


async def _record_fetching(client: GraphClient, names: Sequence[str]) -> None:
    for name in names:
        async with fetching(client, name, FETCHING[name]) as run:
            await _keep(run, name)


async def _record_graph(client: GraphClient, path: Path) -> None:
    document: Any = load(path.read_bytes()).data
    agents = {**catalog(), "slowAgent": slow.agent, "modelAgent": model.agent}
    temporal = await Client.connect(client.temporal.service_client.config.target_host)
    with serve(lambda seen: Answer()) as hook:
        notify = {"default": hook.url} if path.stem in NOTIFYING else {}
        settings = replace(client.settings, notify=notify)
        async with (
            Worker(temporal, task_queue="another", activities=[upper, broken]),
            durable.started(client, path.stem, document, agents, settings) as run,
        ):
            if path.stem == "rerun":
                await run.result()
                run = await run.rerun(Change(values={"word": "other"}))
            if path.stem == "events":
                await run.send(ExternalEvent(topic="t", key="a", id="1", body=1))
                await run.send(*(ExternalEvent(topic="t", key="a", id=id, body=2) for id in ("1", "2")))
            await _keep(run, path.stem)


@activity.defn
async def upper(call: dict[str, Any]) -> str:
    """An activity of a worker that is not Perdure's."""
    return call["inputs"]["text"].upper()


@activity.defn
async def broken(call: dict[str, Any]) -> str:
    """One that fails."""
    raise ValueError(call["inputs"]["text"])


@agent("slowAgent", pure=True)
def slow(inputs: Any) -> Any:
    """Takes longer than a segment works."""
    time.sleep(0.4)
    return inputs


@agent("modelAgent")
def model(inputs: Any) -> Any:
    """Calls two tools, and then is content."""
    if inputs["messages"]:
        return {"message": {"role": "assistant", "content": "done"}}
    names = ["sleeperAgent--offered", "sleeperAgent--invented"]
    calls = [{"id": name, "name": name, "arguments": {}} for name in names]
    return {"message": {"role": "assistant", "content": None}, "tool_calls": calls, "tool": calls[0]}


async def _keep(run: Run, name: str) -> None:
    try:
        await run.result()
    except RunFailed as error:
        print(f"{name}: failed, {error}")
    _write(await run.handle.fetch_history(), name)


def _write(history: WorkflowHistory, name: str) -> None:
    text = json.dumps(scrubbed(history.to_json_dict()), indent=1) + "\n"
    names = [f"@{socket.gethostname()}", f"{getpass.getuser()}@", str(Path.home()), str(ROOT)]
    private = private_texts(text, names)
    if private:
        raise SystemExit(f"{name}: the history reveals this machine: {', '.join(private)}")
    (FOLDER / f"{name}.json").write_text(text)
    print(f"{name}: {len(history.events)} events, {len(text):,} bytes")


def scrubbed(value: Any) -> Any:
    """A history without what names the machine: identities, queues named after them, builds, tracebacks."""
    if isinstance(value, list):
        return [scrubbed(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("kind") == "TASK_QUEUE_KIND_STICKY":
        return {**value, "name": "recorder-queue"}
    fixed = {"identity": "recorder", "buildId": "recorded", "stackTrace": ""}
    return {key: fixed[key] if key in fixed else scrubbed(item) for key, item in value.items()}


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1:]))
