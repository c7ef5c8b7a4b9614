"""python -m tests.web.viewers [COUNT]: what twenty viewers of a run cost, and what one does.

The same run executes without viewers, with one, and with twenty. Prints the processor time of `perdure ui`
and of Temporal's server meanwhile, and exits with 1 if twenty cost half as much again as one, if one of them
does not see the end, or if watching adds an event to the history.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from perdure import server
from perdure.agents.agent import agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.settings import Settings
from perdure.web.access import page_link
from perdure.worker import WorkerOptions, build_worker
from tests.support import ROOT
from tests.support.durable import connected

MOST: Final = 1.5
"""How many times what one viewer costs all of them may cost."""

ROW_COUNT: Final = 600
QUEUE: Final = "viewers"
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
GRAPH: Final[dict[str, Any]] = {
    "concurrency": 10,
    "nodes": {
        "rows": {"value": list(range(ROW_COUNT))},
        "m": {
            "agent": "mapAgent",
            "inputs": {"rows": ":rows"},
            "graph": {"nodes": {"x": {"agent": "breather", "inputs": {"n": ":row"}, "isResult": True}}},
        },
    },
}
HELD: Final[dict[str, Any]] = {"nodes": {"x": {"agent": "held"}}}


@agent("breather")
async def breather(inputs: dict[str, Any]) -> Any:
    """Takes a little."""
    await asyncio.sleep(0.3)
    return inputs["n"]


@agent("held")
async def held() -> None:
    """Does not return."""
    await asyncio.Event().wait()


@dataclass
class Machine:
    """The processes that are measured, and the API."""

    client: GraphClient
    api: httpx2.AsyncClient
    web: int
    temporal: Sequence[int]

    def seconds(self) -> tuple[float, float]:
        """Of the processor, so far: those of the page's server, and of Temporal's."""
        return _seconds([self.web]), _seconds(self.temporal)

    async def viewer(self, id: str) -> int:
        """Follows a run to its end; how many events it was sent."""
        count = 0
        async with self.api.stream("GET", f"/runs/{id}/events") as stream:
            async for line in stream.aiter_lines():
                count += line.startswith("event: ")
                if line == "event: end":
                    return count
        raise RuntimeError(f"a viewer of {id} has not seen its end")

    async def watched(self, count: int) -> float:
        """Lets the run execute with this many viewers; the processor time of both servers."""
        before = self.seconds()
        run = await self.client.start(GRAPH, id=f"with-{count}-viewers", queue=QUEUE)
        seen = await asyncio.gather(run.result(), *(self.viewer(run.id) for _ in range(count)))
        web, temporal = (now - then for now, then in zip(self.seconds(), before, strict=True))
        events = f", {sum(seen[1:])} events sent" if count else ""
        print(f"{count:>3} viewers: perdure ui {web:5.2f} s, Temporal {temporal:5.2f} s{events}", flush=True)
        return web + temporal

    async def adds_nothing(self, count: int) -> int:
        """How many events the history of a run has more after it was watched."""
        run = await self.client.start(HELD, id="held", queue=QUEUE)
        while not (await run.describe()).raw.pending_activities:
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        before = (await run.describe()).info.history_length
        viewers = [asyncio.ensure_future(self.viewer(run.id)) for _ in range(count)]
        await asyncio.sleep(5)
        after = (await run.describe()).info.history_length
        for viewer in viewers:
            viewer.cancel()
        await asyncio.gather(*viewers, return_exceptions=True)
        await run.terminate()
        return after - before


def _seconds(pids: Sequence[int]) -> float:
    fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(each[11]) + int(each[12]) for each in fields) / TICKS_PER_S


@asynccontextmanager
async def machine(home: Path) -> AsyncGenerator[Machine]:
    """A server, a worker in this process, and `perdure ui` in one of its own."""
    async with connected(home) as client:
        target = client.temporal.service_client.config.target_host
        env = {"PERDURE_HOME": str(home), "TEMPORAL_ADDRESS": target}
        command = [sys.executable, "-m", "perdure", "ui", "--no-open", "--port", "0"]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=env, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            link = (await process.stdout.readline()).decode().strip()
            url, _, token = link.partition("/#t=")
            assert link == page_link(url, token), link
            up = server.status(client.settings)
            assert up is not None
            children = Path(f"/proc/{up.pid}/task/{up.pid}/children").read_text().split()
            agents = {**catalog(), **agents_by_name([breather, held])}
            options = WorkerOptions(agents=agents, settings=client.settings)
            headers = {"Authorization": f"Bearer {token}"}
            limits = httpx2.Limits(max_connections=200)
            async with (
                httpx2.AsyncClient(
                    base_url=f"{url}/api/v1", headers=headers, timeout=180, limits=limits
                ) as api,
                build_worker(client.temporal, QUEUE, options),
            ):
                yield Machine(client, api, process.pid, [int(pid) for pid in children])
        finally:
            process.terminate()
            await process.wait()


async def main(count: int) -> bool:
    """Whether many viewers cost little more than one, and nothing of the history."""
    with tempfile.TemporaryDirectory() as home:
        try:
            async with machine(Path(home)) as measured:
                await measured.watched(0)
                one, many = await measured.watched(1), await measured.watched(count)
                added = await measured.adds_nothing(count)
        finally:
            server.stop(Settings(home=Path(home)))
    print(
        f"{count} viewers cost {many / one:.2f} times what one does (less than {MOST}); events added: {added}"
    )
    return many / one < MOST and not added


if __name__ == "__main__":
    logging.disable()
    sys.exit(0 if asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)) else 1)
