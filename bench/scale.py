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
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import (
    UnsandboxedWorkflowRunner,
    WorkerConfig,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)

from bench import graphs
from bench.session import Session, fresh
from perdure.agents.catalog import catalog, load_agents
from perdure.cli import connection
from perdure.client import GraphClient
from perdure.plugin import GraphPlugin
from perdure.settings import Settings
from perdure.transport import codec_for
from perdure.worker import WorkerOptions, build_worker

QUEUE = "scale"


@dataclass(frozen=True)
class Case:
    """A graph, and its results."""

    graph: graphs.Document
    expect: Any


def _rows(size: int, agent: str, concurrency: int) -> Case:
    expect = {"map": {"work": [{"n": index + 1} for index in range(size)]}}
    return Case(graphs.rows(size, agent, concurrency), expect)


def _nested(depth: int) -> Case:
    expect: Any = {"x": {"n": 1}}
    for _ in range(depth):
        expect = {"x": expect}
    return Case(graphs.nested(depth, "add"), expect)


CASES: dict[str, Callable[[], Case]] = {
    "chain of 10,000 nodes": lambda: Case(graphs.chain(10_000, "add"), {"s10000": {"n": 10_000}}),
    "fan of 10,000 nodes": lambda: Case(graphs.fan(10_000, "add", "count"), {"all": {"n": 10_000}}),
    "map of 100,000 rows, pure": lambda: _rows(100_000, "add", 8),
    "map of 10,000 rows, activity": lambda: _rows(10_000, "step", 100),
    "loop of 10,000 iterations": lambda: Case(graphs.loop(10_000, "add"), {"next": {"n": 10_000}}),
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

        instance.activate = timed
        return instance


class TimedPlugin(GraphPlugin):
    """The plugin of the product, with the watch."""

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Runs the workflow where it is timed."""
        config = super().configure_worker(config)
        config["unsandboxed_workflow_runner"] = TimedRunner()
        return config


async def serve(address: str, home: str) -> int:
    """The worker: ends with its standard input, and then prints what it has cost."""
    converter = replace(DataConverter.default, payload_codec=codec_for(Settings(home=Path(home))))
    temporal = await Client.connect(address, data_converter=converter, plugins=[TimedPlugin()])
    agents = {**catalog(), **load_agents("bench.agents")}
    options = WorkerOptions(agents=agents, settings=Settings(home=Path(home), queues=("*",)))
    async with build_worker(temporal, QUEUE, options):
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


async def measure(session: Session, name: str, case: Case) -> dict[str, Any]:
    """Runs a case, and gives what it took."""
    client = session.graphs
    assert client.embedded is not None
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.scale", "--serve", client.embedded.address, str(session.home)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert worker.stdout is not None
    await worker.stdout.readline()
    began = time.perf_counter()
    run = await client.start(case.graph, name="scale", queue=QUEUE)
    result = await run.result()
    seconds = time.perf_counter() - began
    histories = await _histories(client, run.id)
    output, _ = await worker.communicate(b"")
    cost = json.loads(output.splitlines()[-1])
    return {
        "name": name,
        "right": result.results == case.expect,
        "seconds": seconds,
        "runs": len(histories),
        "events": max(len(history.events) for history in histories),
        "history_bytes": sum(event.ByteSize() for history in histories for event in history.events),
        **cost,
    }


async def _histories(client: GraphClient, id: str) -> list[WorkflowHistory]:
    """Those of all runs of a chain."""
    histories: list[WorkflowHistory] = []
    async for each in client.temporal.list_workflows(f"WorkflowId = '{id}'"):
        handle = client.temporal.get_workflow_handle(id, run_id=each.run_id)
        histories.append(await handle.fetch_history())
    return histories


async def main(names: list[str], file: str | None) -> int:
    """Runs the cases whose names hold one of `names`, and prints a line each."""
    chosen = {name: make for name, make in CASES.items() if not names or any(part in name for part in names)}
    results: list[dict[str, Any]] = []
    async with fresh() as session:
        print(f"{'':30} right      s  runs  events  history MB  longest s  worker MB  worker CPU s")
        for name, make in chosen.items():
            measurement = await measure(session, name, make())
            results.append(measurement)
            print(
                f"{name:30} {measurement['right']!s:5} {measurement['seconds']:6.1f}"
                f" {measurement['runs']:5}"
                f" {measurement['events']:7}"
                f" {measurement['history_bytes'] / 1e6:11.2f} {measurement['longest']:10.3f}"
                f" {measurement['memory'] / 1e6:10.0f} {measurement['cpu']:13.1f}",
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
    parser.add_argument("--serve", nargs=2, metavar=("ADDRESS", "HOME"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        sys.exit(connection.run(serve(*args.serve)))
    else:
        sys.exit(asyncio.run(main(args.names, args.json)))
