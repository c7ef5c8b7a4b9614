"""python -m bench.peers.dbos_peer URL: DBOS on the database of the URL, SQLite or PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
from importlib.metadata import version
from typing import Any

from bench.peers.lines import refuse, serve

DURABILITY = {
    "sqlite": "a row for each step, rollback journal, synchronous=FULL",
    "postgresql": "a row for each step, fsync=on",
}


def main(url: str) -> None:
    try:
        from dbos import DBOS
    except ImportError:
        return refuse("DBOS is not installed")
    DBOS(
        config={"name": "bench", "system_database_url": url, "log_level": "ERROR", "run_admin_server": False}
    )

    @DBOS.step()
    async def add(n: int) -> int:
        return n + 1

    @DBOS.step()
    async def collect(items: list[int]) -> int:
        return len(items)

    @DBOS.workflow()
    async def chain(size: int) -> int:
        n = 0
        for _ in range(size):
            n = await add(n)
        return n

    @DBOS.workflow()
    async def fan(size: int) -> int:
        return await collect(await asyncio.gather(*(add(0) for _ in range(size))))

    DBOS.launch()

    def prepared(workflow: Any) -> Any:
        def prepare(size: int) -> Any:
            async def work() -> int:
                return await workflow(size)

            return work

        return prepare

    works = {"chain": prepared(chain), "fan": prepared(fan)}
    serve({"dbos": version("dbos")}, DURABILITY[url.partition(":")[0].partition("+")[0]], works)


if __name__ == "__main__":
    main(*sys.argv[1:])
