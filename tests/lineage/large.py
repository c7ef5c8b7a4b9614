"""Large runs: a map whose graph is changed in the middle, and a rerun that reuses everything.

python -m tests.lineage.large --rows 10000
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from perdure import Sample, agent
from perdure.agents.agent import Agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.engine.messages import RunOptions
from perdure.runs import Run
from perdure.worker import WorkerOptions, build_worker
from tests.support.detector import replay_failures
from tests.support.durable import embedded
from tests.support.waiting import until

QUEUE = "test-large"
WIDTH = 50
"""Nodes that run at a time, and calls of one activity."""


def marker(calls: Counter[tuple[int, int]]) -> dict[str, Agent]:
    """An agent that says which graph has called it for which row."""

    @agent("mark", samples=[Sample(inputs={"row": 1}, params={"n": 1}, result=[1, 1])])
    async def mark(inputs: dict[str, Any], params: dict[str, Any]) -> Any:
        """Marks."""
        calls[inputs["row"], params["n"]] += 1
        return [inputs["row"], params["n"]]

    return {**catalog(), **agents_by_name([mark])}


def graph_of(rows: int, n: int) -> dict[str, Any]:
    mark = {
        "agent": "mark",
        "inputs": {"row": ":row"},
        "params": {"n": n},
        "batch": WIDTH,
        "isResult": True,
    }
    node = {"agent": "mapAgent", "inputs": {"rows": ":rows"}, "graph": {"nodes": {"mark": mark}}}
    nodes = {"rows": {"value": [*range(rows)]}, "map": {**node, "params": {"compositeResult": True}}}
    return {"version": 0.5, "concurrency": WIDTH, "nodes": {**nodes, "all": result(":map.mark")}}


def result(source: str) -> dict[str, Any]:
    return {"agent": "copyAgent", "inputs": {"x": source}, "isResult": True}


async def patched_in_the_middle(client: GraphClient, rows: int, id: str) -> str:
    """Changes the graph of a map when a third of its rows is done; what came of it. Raises AssertionError."""
    calls = Counter[tuple[int, int]]()
    async with build_worker(
        client.temporal, QUEUE, WorkerOptions(agents=marker(calls), settings=client.settings)
    ):
        options = RunOptions(injects=())
        run = await client.start(graph_of(rows, 1), id=id, queue=QUEUE, options=options)
        await until(lambda: len(calls) >= rows // 3, seconds=600)
        before = {row for row, _ in calls}
        await run.patch(graph_of(rows, 2), rows="new", who="anna")
        marked = (await run.result()).results["all"]["x"]
        assert [row for row, _ in marked] == [*range(rows)]
        old = {row for row, n in marked if n == 1}
        assert before <= old, "a row that had begun was begun again"
        assert old < {*range(rows)}, "no row has taken the new graph over"
        assert old == {*range(len(old))}
        assert calls == Counter(map(tuple, marked)), "a row was called twice"
    legs = await legs_of(run)
    assert await replay_failures(legs) == []
    assert (await run.history()).problem is None
    return f"{len(before):,} rows done, {len(old):,} begun with the old graph, {rows - len(old):,} later"


async def reused(client: GraphClient, rows: int, id: str) -> str:
    """Repeats a run of which all is reused; what that took. Raises AssertionError."""
    calls = Counter[tuple[int, int]]()
    async with build_worker(
        client.temporal, QUEUE, WorkerOptions(agents=marker(calls), settings=client.settings)
    ):
        run = await client.start(graph_of(rows, 1), id=id, queue=QUEUE)
        expected = (await run.result()).results
        calls.clear()
        begun, cpu = time.perf_counter(), time.process_time()
        again = await run.rerun()
        started, started_cpu = time.perf_counter(), time.process_time()
        assert (await again.result()).results == expected
        ended, ended_cpu = time.perf_counter(), time.process_time()
        assert not calls
    events = sum(len(leg.events) for leg in await legs_of(again))
    return (
        f"{events} events; reading the record {started - begun:.1f} s (CPU {started_cpu - cpu:.1f}), "
        f"the run {ended - started:.1f} s (CPU {ended_cpu - started_cpu:.1f})"
    )


async def legs_of(run: Run) -> list[Any]:
    """The histories of all executions of a run."""
    chain = (await run.history()).chain
    handles = [run.temporal.get_workflow_handle(run.id, run_id=leg.execution) for leg in chain]
    return [await handle.fetch_history() for handle in handles]


async def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        async with embedded(Path(home)) as client:
            print(f"a rerun of {rows:,} rows: {await reused(client, rows, 'large')}", flush=True)
            print(f"changed in the middle: {await patched_in_the_middle(client, rows, 'changed')}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000)
    asyncio.run(main(parser.parse_args().rows))
