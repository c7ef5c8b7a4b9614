"""A map that ends without some of its rows, on a server: nothing waits for dead hosts, and they are named."""

from dataclasses import replace
from typing import Any

import pytest

from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.worker import WorkerOptions, build_worker
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


def answers(input_name: str, value: str, inputs: dict[str, Any], **params: Any) -> dict[str, Any]:
    """A map of sites, each of which answers on its queue with `value` under the name `input_name`."""
    answer = {
        "agent": "sleeperAgent",
        "queue": ":row.queue",
        "inputs": {input_name: value},
        "params": {"duration": 1, "value": {}},
        "isResult": True,
    }
    return {
        "agent": "mapAgent",
        "inputs": {"rows": ":sites", **inputs},
        "params": {**params, "compositeResultKey": "answer"},
        "isResult": True,
        "graph": {"nodes": {"answer": answer}},
    }


SITES = [{"id": f"site-{n}", "queue": "dead" if n in (2, 5, 9) else "quorum"} for n in range(10)]
ROUND: dict[str, Any] = {
    "nodes": {
        "sites": {"value": SITES},
        "answers": answers("from", ":row.id", {}, quorum=0.7, deadline=600_000, grace=100),
    },
    "concurrency": 20,
}


async def test_three_dead_hosts_of_ten_are_named(client: GraphClient) -> None:
    settings = replace(client.settings, queues=("dead",))
    async with build_worker(client.temporal, "quorum", WorkerOptions(agents=catalog(), settings=settings)):
        run = await client.start(ROUND, queue="quorum")
        got = (await run.result()).results["answers"]
        assert got["index"] == [0, 1, 3, 4, 6, 7, 8]
        assert got["missing"] == [{"index": n, "id": f"site-{n}", "why": "late"} for n in (2, 5, 9)]
        status = await run.status()
        assert status is not None
        assert status.console == [
            "7 of 10 rows have a result; missing: row 2 'site-2' (late), row 5 'site-5' (late), "
            "row 9 'site-9' (late)"
        ]


LATE: dict[str, Any] = {
    "loop": {"count": 2},
    "nodes": {
        "rule": {"value": {"quorum": 1, "grace": 0}, "update": ":next.rule"},
        "sites": {"value": [{"id": "here", "queue": "quorum"}, {"id": "there", "queue": "later"}]},
        "answers": answers("begun", ":pass", {"pass": "@loop", "params": ":rule"}, late="carry"),
        "next": {"agent": "copyAgent", "inputs": {"rule": {"quorum": 2}, "after": ":answers"}},
    },
}


async def test_a_late_row_counts_in_the_next_pass(client: GraphClient) -> None:
    settings = replace(client.settings, queues=("later",))
    options = WorkerOptions(agents=catalog(), settings=settings)
    async with build_worker(client.temporal, "quorum", options):
        run = await client.start(LATE, queue="quorum")

        async def is_in_second_pass() -> bool:
            status = await run.status()
            return status is not None and any(node.path == "answers@1" for node in status.nodes)

        await until(is_in_second_pass, "the first pass ends without the host that is not there")
        async with build_worker(client.temporal, "later", options):
            got = (await run.result()).results["answers"]
    assert got == {"rows": [{"begun": 1}, {"begun": 0}], "index": [0, 1], "missing": [], "age": [0, 1]}
