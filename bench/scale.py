"""Large runs, each on a worker of its own process: python -m bench.scale [NAME…] [--json FILE]

Each must finish with the right result, with no history above 10,000 events, no activation of the
workflow above half a second, and a worker below 1 GB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.worker import (
    UnsandboxedWorkflowRunner,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)

from perdure.activities.agent import agent
from perdure.activities.catalog import catalog
from perdure.cli import connection
from perdure.client import GraphClient, connect
from perdure.settings import Settings
from perdure.worker import WorkerOptions, build_worker
from tests.durable import embedded

QUEUE = "scale"
COPY = {"agent": "copyAgent", "inputs": {"n": ":row"}, "isResult": True}


@agent("remoteCopy")
async def remote_copy(inputs: dict[str, Any]) -> dict[str, Any]:
    """An activity that does nothing."""
    return inputs


@dataclass(frozen=True)
class Case:
    """A graph, its inputs, and whether a result of it is right."""

    graph: dict[str, Any]
    inputs: dict[str, Any]
    is_right: Callable[[dict[str, Any]], bool]


def _chain(length: int) -> Case:
    nodes: dict[str, Any] = {"n0": {"value": {"t": "x"}}}
    for index in range(1, length):
        nodes[f"n{index}"] = {"agent": "copyAgent", "inputs": {"t": f":n{index - 1}.t"}}
    last = f"n{length - 1}"
    nodes[last]["isResult"] = True
    return Case({"nodes": nodes}, {}, lambda results: results == {last: {"t": "x"}})


def _fan(width: int) -> Case:
    nodes: dict[str, Any] = {"s": {"value": "x"}}
    nodes |= {f"n{i}": {"agent": "copyAgent", "inputs": {"t": ":s"}} for i in range(width - 2)}
    texts = [f":n{i}.t" for i in range(width - 2)]
    nodes["all"] = {
        "agent": "copyAgent",
        "inputs": {"all": texts},
        "output": {"n": ".all.length()"},
        "isResult": True,
    }
    return Case({"nodes": nodes}, {}, lambda results: results == {"all": {"n": width - 2}})


def _map(rows: int, chosen: str, concurrency: int) -> Case:
    row = {**COPY, "agent": chosen}
    nodes = {
        "rows": {},
        "map": {
            "agent": "mapAgent",
            "inputs": {"rows": ":rows"},
            "graph": {"nodes": {"c": row}},
            "isResult": True,
        },
    }
    graph = {"nodes": nodes, "concurrency": concurrency}
    wanted = [{"c": {"n": index}} for index in range(rows)]
    return Case(graph, {"rows": list(range(rows))}, lambda results: results["map"] == wanted)


def _loop(count: int) -> Case:
    step = {"agent": "copyAgent", "inputs": {"n": ":i.add(1)"}, "isResult": True}
    nodes = {"i": {"value": 0, "update": ":step.n"}, "step": step}
    return Case(
        {"loop": {"count": count}, "nodes": nodes}, {}, lambda results: results == {"step": {"n": count}}
    )


def _nested(depth: int) -> Case:
    graph: dict[str, Any] = {"nodes": {"x": {"agent": "copyAgent", "inputs": {"n": 1}, "isResult": True}}}
    wanted: Any = {"x": {"n": 1}}
    for _ in range(depth):
        graph = {"nodes": {"x": {"agent": "nestedAgent", "graph": graph, "isResult": True}}}
        wanted = {"x": wanted}
    return Case(graph, {}, lambda results: results == wanted)


CASES: dict[str, Callable[[], Case]] = {
    "chain of 10,000 nodes": lambda: _chain(10_000),
    "fan of 10,000 nodes": lambda: _fan(10_000),
    "map of 100,000 rows, pure": lambda: _map(100_000, "copyAgent", 8),
    "map of 10,000 rows, activity": lambda: _map(10_000, "remoteCopy", 100),
    "loop of 10,000 iterations": lambda: _loop(10_000),
    "50 graphs inside each other": lambda: _nested(50),
}


class TimedRunner(WorkflowRunner):
    """The runner of the product, with a watch."""

    longest = 0.0

    def __init__(self) -> None:
        self.inner = UnsandboxedWorkflowRunner()

    def prepare_workflow(self, defn: Any) -> None:
        """Passes it on."""
        self.inner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """An instance of which the longest activation is noted."""
        instance = self.inner.create_instance(det)
        activate = instance.activate

        def timed(act: Any) -> Any:
            began = time.perf_counter()
            try:
                return activate(act)
            finally:
                TimedRunner.longest = max(TimedRunner.longest, time.perf_counter() - began)

        instance.activate = timed  # type: ignore[method-assign]
        return instance


async def serve(home: str) -> int:
    """The worker: ends with its standard input, and then tells what it has cost."""
    client = await connect(Settings(home=Path(home)))
    agents = {**catalog(), "remoteCopy": remote_copy.agent}
    worker = build_worker(client.temporal, QUEUE, WorkerOptions(agents=agents, settings=client.settings))
    worker._workflow_worker._unsandboxed_workflow_runner = TimedRunner()
    async with worker:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
    used = resource.getrusage(resource.RUSAGE_SELF)
    cost = {
        "longest": TimedRunner.longest,
        "memory": used.ru_maxrss * 1024,
        "cpu": used.ru_utime + used.ru_stime,
    }
    print(json.dumps(cost), flush=True)
    return 0


async def measure(client: GraphClient, name: str, case: Case) -> dict[str, Any]:
    """Runs a case, and gives what it took."""
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.scale", "--serve", str(client.settings.home)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert worker.stdout is not None
    await worker.stdout.readline()
    began = time.perf_counter()
    run = await client.start(case.graph, case.inputs, name="scale", queue=QUEUE)
    result = await run.result()
    seconds = time.perf_counter() - began
    histories = await _histories(client, run.id)
    told, _ = await worker.communicate(b"")
    cost = json.loads(told.splitlines()[-1])
    return {
        "name": name,
        "right": case.is_right(dict(result.results)),
        "seconds": seconds,
        "runs": len(histories),
        "events": max(len(history.events) for history in histories),
        "history_bytes": sum(event.ByteSize() for history in histories for event in history.events),
        **cost,
    }


async def _histories(client: GraphClient, id: str) -> list[WorkflowHistory]:
    """Those of all runs of a chain."""
    found: list[WorkflowHistory] = []
    async for each in client.temporal.list_workflows(f"WorkflowId = '{id}'"):
        handle = client.temporal.get_workflow_handle(id, run_id=each.run_id)
        found.append(await handle.fetch_history())
    return found


async def main(names: list[str], file: str | None) -> int:
    """Runs the cases whose names hold one of `names`, and prints a line each."""
    chosen = {name: make for name, make in CASES.items() if not names or any(part in name for part in names)}
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="perdure-scale-") as home:
        async with embedded(Path(home) / "home") as client:
            print(f"{'':30} right      s  runs  events  history MB  longest s  worker MB  worker CPU s")
            for name, make in chosen.items():
                found = await measure(client, name, make())
                results.append(found)
                print(
                    f"{name:30} {found['right']!s:5} {found['seconds']:6.1f} {found['runs']:5}"
                    f" {found['events']:7}"
                    f" {found['history_bytes'] / 1e6:11.2f} {found['longest']:10.3f}"
                    f" {found['memory'] / 1e6:10.0f} {found['cpu']:13.1f}",
                    flush=True,
                )
    if file:
        Path(file).write_text(json.dumps(results, indent=1) + "\n")
    bad = [each for each in results if not each["right"] or each["events"] > 10_000 or each["memory"] > 1e9]
    return 1 if bad or any(each["longest"] > 0.5 for each in results) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--serve", metavar="HOME", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        sys.exit(connection.run(serve(given.serve)))
    else:
        sys.exit(asyncio.run(main(given.names, given.json)))
