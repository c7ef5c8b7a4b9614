"""A map that ends without some of its rows, on a server: nothing waits for dead hosts, and they are named."""

from dataclasses import replace
from typing import Any

import pytest

from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio

ROUND: dict[str, Any] = {
    "nodes": {
        "sites": {
            "value": [{"id": f"site-{n}", "queue": "dead" if n in (2, 5, 9) else "quorum"} for n in range(10)]
        },
        "answers": {
            "agent": "mapAgent",
            "inputs": {"rows": ":sites"},
            "params": {"quorum": 0.7, "deadline": 600_000, "grace": 100, "compositeResultKey": "answer"},
            "isResult": True,
            "graph": {
                "nodes": {
                    "answer": {
                        "agent": "sleeperAgent",
                        "queue": ":row.queue",
                        "inputs": {"from": ":row.id"},
                        "params": {"duration": 1, "value": {}},
                        "isResult": True,
                    }
                }
            },
        },
    },
    "concurrency": 20,
}


async def test_three_dead_hosts_of_ten_are_named(client: GraphClient) -> None:
    settings = replace(client.settings, queues=("dead",))
    async with build_worker(client.temporal, "quorum", WorkerOptions(agents=catalog(), settings=settings)):
        run = await client.start(ROUND, queue="quorum")
        answers = (await run.result()).results["answers"]
        assert answers["index"] == [0, 1, 3, 4, 6, 7, 8]
        assert answers["missing"] == [{"index": n, "id": f"site-{n}", "why": "late"} for n in (2, 5, 9)]
        status = await run.status()
        assert status is not None
        assert status.console == [
            "7 of 10 rows have a result; missing: row 2 'site-2' (late), row 5 'site-5' (late), "
            "row 9 'site-9' (late)"
        ]
