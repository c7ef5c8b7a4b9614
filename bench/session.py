"""One embedded server, as the product starts it, with a worker of Perdure and one of hand-written workflows.

Both workers are processes of their own and serve all the time, whichever of them is measured.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from bench.harness import Side
from bench.processes import ROOT, Failed, children, environment
from perdure import server
from perdure.client import GraphClient, connect
from perdure.errors import PerdureError
from perdure.settings import Settings

DURABILITY = "Temporal's history on SQLite, WAL, synchronous=FULL"
PERDURE = "perdure"
HAND = "hand-written"
QUEUES = {PERDURE: "bench-perdure", HAND: "bench-hand"}
NOWHERE = "bench-nowhere"
"""A queue without a worker."""

READY = 30.0
"""Seconds in which a worker must be ready."""

IDLE = 60.0
"""Seconds after which the server ends by itself, should this process be killed."""

Handle = WorkflowHandle[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Session:
    """Where the durable sides run: a server, and a worker for each name of QUEUES that was asked for."""

    home: Path
    graphs: GraphClient
    plain: Client
    workers: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    @property
    def server_pids(self) -> list[int]:
        """The processes of the server."""
        assert self.graphs.embedded is not None
        return children(self.graphs.embedded.pid)

    def ours(self, document: Any, expect: Any = None, *, name: str = PERDURE, runs: int = 1) -> Side:
        """A side that makes `runs` runs of the graph at once, each of which must give `expect`."""

        async def one() -> Handle:
            return await self.run(document, expect)

        return self._side(PERDURE, name, one, runs)

    def hand(self, workflow: Any, *args: Any, expect: Any = None, name: str = HAND, runs: int = 1) -> Side:
        """A side that makes `runs` runs of a hand-written workflow at once."""

        async def one() -> Handle:
            handle = await self.begin(workflow, *args)
            try:
                compare(expect, await handle.result())
            except WorkflowFailureError as error:
                raise Failed(str(error.cause)) from error
            return handle

        return self._side(HAND, name, one, runs)

    async def run(self, document: Any, expect: Any = None) -> Handle:
        """Runs a graph to its end. Raises Failed when that is not a good one."""
        try:
            run = await self.graphs.start(document, queue=QUEUES[PERDURE])
            compare(expect, (await run.result()).results)
        except PerdureError as error:
            raise Failed(str(error).splitlines()[0]) from error
        return run.handle

    async def begin(self, workflow: Any, *args: Any) -> Handle:
        """Starts a hand-written workflow."""
        name = str(uuid4())
        return await self.plain.start_workflow(workflow, args=args, id=name, task_queue=QUEUES[HAND])

    def _side(self, who: str, name: str, one: Callable[[], Awaitable[Handle]], runs: int) -> Side:
        async def work() -> Mapping[str, float]:
            begin = time.perf_counter()
            handles = await asyncio.gather(*(one() for _ in range(runs)))
            seconds = time.perf_counter() - begin
            return {"seconds": seconds, **(await history(handles[0]))}

        processes = {"worker": [self.workers[who].pid], "server": self.server_pids}
        return Side(name=name, work=work, durability=DURABILITY, processes=processes)

    async def start_worker(self, who: str) -> int:
        """Starts a worker, or restarts it, and returns its process id."""
        await self.stop_worker(who)
        own = [*("-m", "perdure", "worker", "--queue", QUEUES[who]), *("--agents", "bench.agents")]
        assert self.graphs.embedded is not None
        plain = ["-m", "bench.hand_worker", self.graphs.embedded.address, QUEUES[who]]
        log = self.home / f"{who}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *(own if who == PERDURE else plain),
                env=environment(PERDURE_HOME=str(self.home), PERDURE_QUEUES=NOWHERE),
                cwd=ROOT,
                stdout=output,
                stderr=output,
            )
        self.workers[who] = process
        async with asyncio.timeout(READY):
            while b"worker ready" not in log.read_bytes():
                if process.returncode is not None:
                    raise Failed(f"the worker ended: {log.read_text()[-500:]}")
                await asyncio.sleep(0.02)
        return process.pid

    async def start_workers(self, *workers: str) -> None:
        """Starts those of these workers that do not serve yet."""
        for who in workers:
            if who not in self.workers:
                await self.start_worker(who)

    async def stop_worker(self, who: str) -> None:
        """Ends a worker, if there is one."""
        process = self.workers.pop(who, None)
        if process is not None and process.returncode is None:
            process.terminate()
            await process.wait()


_shared: ContextVar[Session | None] = ContextVar("_shared", default=None)


@asynccontextmanager
async def durable(*workers: str) -> AsyncIterator[Session]:
    """A session with the named workers, both by default: one of its own, or the one that is `shared`."""
    session = _shared.get()
    if session is None:
        async with fresh() as session:
            await session.start_workers(*workers or QUEUES)
            yield session
    else:
        await session.start_workers(*workers or QUEUES)
        yield session


@asynccontextmanager
async def shared() -> AsyncIterator[None]:
    """One session for all that are asked for inside: less to wait for, where numbers do not matter."""
    async with fresh() as session:
        token = _shared.set(session)
        try:
            yield
        finally:
            _shared.reset(token)


@asynccontextmanager
async def fresh() -> AsyncIterator[Session]:
    """A session on a server of its own, without workers."""
    with tempfile.TemporaryDirectory(prefix="perdure-bench-", ignore_cleanup_errors=True) as folder:
        settings = Settings(home=Path(folder), server_idle=IDLE)
        graphs = await connect(settings)
        assert graphs.embedded is not None
        async with AsyncExitStack() as stack:
            stack.callback(server.stop, settings)
            stack.callback(graphs.close)
            plain = await Client.connect(graphs.embedded.address)
            session = Session(home=Path(folder), graphs=graphs, plain=plain)
            for who in QUEUES:
                stack.push_async_callback(session.stop_worker, who)
            yield session


async def history(handle: Handle) -> Mapping[str, float]:
    """How long the history of a run is; of one that continued as new, the last part."""
    info = (await handle.describe()).raw_description.workflow_execution_info
    return {"history bytes": info.history_size_bytes, "history events": info.history_length}


def compare(expect: Any, got: Any) -> None:
    """Raises Failed when the work was not done."""
    if expect is not None and got != expect:
        raise Failed(f"gave {str(got)[:60]} instead of {str(expect)[:60]}")
