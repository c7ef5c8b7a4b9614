"""Reports on real runs, against their histories: python -m tests.history.reports [--count 200]

Starts runs of maps over two hosts, batches, loops, retries, values of a store and calls of a model, while
agents fail for now, fail for good and kill their workers with SIGKILL. Then every figure of the report on all
of them, and of the reports on each, is compared with what other code computes from the exported histories.
Exits with 1 if one differs. With --save FOLDER, the histories are kept as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from perdure import agent, server
from perdure.agents.agent import AgentContext
from perdure.client import GraphClient
from perdure.errors import AgentError, PerdureError, TransientError
from perdure.settings import Settings
from tests.history.compared import MODEL, differences
from tests.support.durable import connected
from tests.support.processes import Crew

HOSTS: Final = ("north", "south")
OPEN_COUNT: Final = 12
LIMIT_S: Final = 300


@agent("partAgent")
async def part(inputs: dict[str, Any], context: AgentContext) -> dict[str, Any]:
    """Works for a moment; in attempts that are asked for, it fails or takes its worker along."""
    await asyncio.sleep(inputs.get("seconds", 0.01))
    if context.attempt <= inputs.get("busy", 0):
        raise TransientError("busy", retry_after=0.1)
    if context.attempt <= inputs.get("deaths", 0):
        await asyncio.sleep(1.5)  # a heartbeat says where it is
        os.kill(os.getpid(), signal.SIGKILL)
    if inputs.get("wrong") and context.retry < inputs["wrong"]:
        raise AgentError("wrong")
    return {"number": inputs["number"], "share": inputs["number"] / 7}


@agent("largeAgent")
async def large(inputs: dict[str, Any]) -> dict[str, Any]:
    """More than the history takes."""
    return {"text": f"{inputs['number']} and so on, " * 9_000, "number": inputs["number"]}


@agent("readerAgent")
async def reader(inputs: dict[str, Any]) -> dict[str, Any]:
    """The size of its input."""
    return {"length": len(inputs["text"])}


@agent("modelAgent", pure=True)
def model(inputs: dict[str, Any]) -> dict[str, Any]:
    """Stands for a language model."""
    usage = {"prompt_tokens": 100 + inputs["number"], "completion_tokens": 10}
    return {"text": "Yes.", "model": MODEL, "usage": usage}


@agent("judgeAgent")
async def judge(inputs: dict[str, Any]) -> dict[str, Any]:
    """Stands for the evaluation of a model."""
    correct = inputs["number"] % 40
    return {"accuracy": correct / 40, "n": 40, "f1": [0.5, 0.75], "macro": 0.625, "digest": "d"}


def graph(number: int, chance: random.Random) -> dict[str, Any]:
    """One of many: of `chance` are the failures, where calls go, and how often the loop turns."""
    trouble: dict[str, Any] = {}
    kind = chance.choice(("none", "none", "busy", "wrong", "deaths"))
    if kind != "none":
        trouble = {kind: 1}
    rows = [{"n": number + row, "queue": f"@{chance.choice(HOSTS)}"} for row in range(chance.randint(1, 4))]
    call = {"agent": "partAgent", "inputs": {"number": ":row.n"}, "queue": ":row.queue", "isResult": True}
    together = {
        "agent": "partAgent",
        "inputs": {"number": ":row.n", "seconds": 0.02, **({"wrong": 9} if number % 10 == 3 else {})},
        "batch": 3,
        "isResult": True,
    }
    nodes: dict[str, Any] = {
        "places": {"value": rows},
        "number": {"value": number, "update": ":number.add(1)"},
        "first": {
            "agent": "partAgent",
            "inputs": {"number": ":number", **trouble},
            "retry": 1,
            "heartbeat": 1,
            "queue": f"@{chance.choice(HOSTS)}",
        },
        "rows": {
            "agent": "mapAgent",
            "inputs": {"rows": ":places", "after": ":first"},
            "params": {"compositeResultKey": "each"},
            "graph": {"nodes": {"each": call}},
        },
        "batch": {
            "agent": "mapAgent",
            "inputs": {"rows": ":places", "after": ":first"},
            "graph": {"nodes": {"each": together}},
        },
        "large": {"agent": "largeAgent", "inputs": {"number": ":number"}, "if": ":first.number"},
        "reader": {"agent": "readerAgent", "inputs": {"text": ":large.text"}},
        "said": {"agent": "modelAgent", "inputs": {"number": ":number"}},
        "judged": {"agent": "judgeAgent", "inputs": {"number": ":number"}, "isResult": True},
    }
    return {"version": 0.6, "concurrency": 8, "loop": {"count": chance.randint(1, 2)}, "nodes": nodes}


async def exported(client: GraphClient, id: str) -> list[dict[str, Any]]:
    """The histories of a run, oldest execution first, as JSON."""
    histories: list[dict[str, Any]] = []
    execution: str | None = None
    while execution != "":
        history = await client.temporal.get_workflow_handle(id, run_id=execution).fetch_history()
        histories.insert(0, json.loads(history.to_json()))
        started = history.events[0].workflow_execution_started_event_attributes
        execution = started.continued_execution_run_id
    return histories


async def keep_alive(crew: Crew) -> None:
    """Starts a worker of a host again where one was killed."""
    workers = {host: worker(crew, host) for host in HOSTS}
    while True:
        await asyncio.sleep(0.2)
        for host, process in workers.items():
            if process.poll() is not None:
                workers[host] = worker(crew, host)


def worker(crew: Crew, host: str) -> Any:
    return crew.host(host, agents=Path(__file__))


async def play(client: GraphClient, count: int, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Starts runs, a few at a time, and gives their histories."""
    chance = random.Random(seed)
    documents = [graph(number, chance) for number in range(count)]
    gate = asyncio.Semaphore(OPEN_COUNT)

    async def one(number: int) -> tuple[str, list[dict[str, Any]]]:
        async with gate, asyncio.timeout(LIMIT_S):
            id = f"reported-{number}"
            run = await client.start(documents[number], id=id, queue="hub")
            with suppress(PerdureError):  # some are to fail
                await run.result()
            return id, await exported(client, id)

    return dict(await asyncio.gather(*map(one, range(count))))


async def main(count: int, seed: int, save: Path | None) -> int:
    with TemporaryDirectory() as name:
        home = Path(name) / "home"
        crew = Crew(home)
        try:
            async with connected(home) as client:
                crew.worker("hub", agents=Path(__file__))
                keeping = asyncio.create_task(keep_alive(crew))
                try:
                    runs = await play(client, count, seed)
                finally:
                    keeping.cancel()
        finally:
            crew.kill_all()
            server.stop(Settings(home=home))
    if save is not None:
        for id, histories in runs.items():
            (save / f"{id}.json").write_text(json.dumps(histories))
    compared, differing = await differences(runs)
    for id, histories in runs.items():
        more, differ = await differences({id: histories})
        compared, differing = compared + more, [*differing, *(f"{id}: {difference}" for difference in differ)]
    print("\n".join(differing[:40]))
    print(f"{compared} figures of {len(runs)} runs, {len(differing)} differ")
    return int(bool(differing))


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200, help="runs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="where to keep the histories")
    return parser.parse_args(words)


if __name__ == "__main__":
    options = arguments()
    sys.exit(asyncio.run(main(options.count, options.seed, options.save)))
