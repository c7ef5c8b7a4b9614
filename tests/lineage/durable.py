"""Random graphs on a real server, in workers that are killed with SIGKILL.

Worker processes are forked from one that has loaded everything, by multiprocessing's forkserver. What agents
are asked is in files of the folder of the server, one for each queue.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import tempfile
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from temporalio.client import Client
from temporalio.converter import DataConverter

from perdure import AgentContext, Sample, agent
from perdure.agents.agent import Agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.errors import AgentError, ConnectionFailed, RunFailed
from perdure.plugin import GraphPlugin
from perdure.protocol.payloads import RunResult
from perdure.runs import Run
from perdure.settings import Settings
from perdure.transport import codec_for
from perdure.worker import WorkerOptions, build_worker
from tests.lineage.work import answer_to, chance_of, fails, text_of
from tests.support.detector import failed_tasks, histories, replay_failures
from tests.support.durable import embedded
from tests.support.waiting import until

Reply = TypeVar("Reply")

AT_ONCE_COUNT = 6
"""Graphs that are under way at a time: most of the time they wait for the server to miss a worker."""


@dataclass(frozen=True)
class Book:
    """What the agent of a queue was asked. Some tries fail if it is `flaky`, some calls if it is `broken`."""

    folder: Path
    queue: str
    flaky: bool = False

    @property
    def _journal(self) -> Path:
        return self.folder / f"{self.queue}.calls"

    @property
    def broken(self) -> Path:
        """As long as this file is there, some calls fail."""
        return self.folder / f"{self.queue}.broken"

    def note(self, run: str, key: str, text: str) -> None:
        file = os.open(self._journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, json.dumps([run, key, text]).encode() + b"\n")
        finally:
            os.close(file)

    def calls(self, run: str | None = None) -> dict[str, str]:
        """What was asked, by all runs or one, by the idempotency key.

        A call that a dead worker has begun counts once. By its run, as an agent may be at work when its run
        is over: a call that was abandoned is noted late, and is none of the run that follows.
        """
        text = self._journal.read_text() if self._journal.exists() else ""
        lines = [json.loads(line) for line in text.splitlines()]
        return {key: asked for by, key, asked in lines if run in (None, by)}


def worker_agent(book: Book) -> Agent:
    """The agent "work" of a worker."""

    @agent("work", samples=[Sample(inputs={}, params={}, result={"v": 0})])
    async def work(inputs: dict[str, Any], params: dict[str, Any], context: AgentContext) -> Any:
        """Works."""
        text = text_of(inputs, params)
        chance = chance_of(0, text)
        await asyncio.sleep(chance % 4 * 0.15)
        book.note(context.run, context.idempotency_key, text)
        if (book.flaky and fails(0, text, context.retry)) or (book.broken.exists() and chance % 10 == 0):
            raise AgentError("broken")
        return answer_to(inputs, chance)

    return work


def _serve(address: str, settings: Settings, book: Book, log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    asyncio.run(_main(address, settings, book))


async def _main(address: str, settings: Settings, book: Book) -> None:
    converter = replace(DataConverter.default, payload_codec=codec_for(settings))
    client = await Client.connect(address, data_converter=converter, plugins=[GraphPlugin()])
    agents = {**catalog(), **agents_by_name([worker_agent(book)])}
    async with build_worker(client, book.queue, WorkerOptions(agents=agents, settings=settings)):
        await asyncio.Event().wait()


@dataclass
class Site:
    """A server, with a worker process for each queue."""

    client: GraphClient
    folder: Path
    _workers: dict[str, Any] = field(default_factory=dict[str, Any])

    @asynccontextmanager
    async def serving(self, queue: str, *, flaky: bool = False) -> AsyncGenerator[Book]:
        """A worker for this queue, until the end."""
        book = Book(self.folder, queue, flaky)
        self.start(book)
        try:
            yield book
        finally:
            await self.kill(book)

    def start(self, book: Book) -> None:
        """Starts the worker."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.lineage.durable"])
        address = self.client.temporal.service_client.config.target_host
        process = context.Process(
            target=_serve,
            args=(address, self.client.settings, book, self.folder / "workers.log"),
            daemon=True,
        )
        process.start()
        self._workers[book.queue] = process

    async def kill(self, book: Book) -> None:
        """SIGKILL for the worker."""
        process = self._workers.pop(book.queue)
        process.kill()
        await asyncio.to_thread(process.join)
        process.close()

    async def replace(self, book: Book) -> None:
        """Kills the worker, and starts another."""
        await self.kill(book)
        self.start(book)


async def ended(run: Run) -> RunResult:
    """How a run has ended, also one that failed."""
    try:
        return await asyncio.wait_for(run.result(), 180)
    except RunFailed as error:
        return error.result


async def patiently(call: Callable[[], Awaitable[Reply]]) -> Reply:
    """What `call` gives, once a busy server replies."""
    while True:
        try:
            return await call()
        except ConnectionFailed:
            await asyncio.sleep(1)


async def first_execution(run: Run) -> str:
    """The id by which the calls of a run name it."""
    described = await patiently(run.describe)
    return described.raw.workflow_execution_info.first_run_id


async def asked(book: Book, count: int, run: Run) -> None:
    """Returns when the agent was asked this many times, or the run is over."""

    async def is_so() -> bool:
        return len(book.calls()) >= count or (await patiently(run.describe)).closed is not None

    await until(is_so, seconds=180)


def stamped(document: dict[str, Any], seed: int, every_node: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The graph, with the seed in the params of its agents: other graphs get other answers."""
    for node in every_node:
        if node.get("agent") == "work":
            node.setdefault("params", {})["seed"] = seed
    return document


async def check_all(seeds: Iterable[int], check: Callable[[Site, int], Awaitable[None]]) -> int:
    """Checks each seed, then that all histories replay; how many there are. Raises AssertionError."""
    gate = asyncio.Semaphore(AT_ONCE_COUNT)

    async def one(site: Site, seed: int) -> str:
        async with gate:
            try:
                await check(site, seed)
            except Exception as error:
                return f"seed {seed}: {''.join(traceback.format_exception(error)[-6:])}"
            return ""

    with tempfile.TemporaryDirectory() as home:
        async with embedded(Path(home)) as client:
            site = Site(client, Path(home))
            failures = [each for each in await asyncio.gather(*(one(site, seed) for seed in seeds)) if each]
            assert not failures, "\n".join(failures)
            known = await histories(client)
            assert failed_tasks(known) == []
            assert await replay_failures(known) == []
            return len(known)
