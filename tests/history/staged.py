"""python -m tests.history.staged [CODE …]: stages each cause that `explain` knows on a real server.

Each situation is brought about with real runs and workers, and `explain` is asked until it names the cause.
Prints a line for each, and exits with 1 if another cause was named.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import PauseActivityRequest, PauseWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from perdure.agents.agent import agent, declared
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.engine.messages import RunOptions
from perdure.errors import TransientError, UsageError
from perdure.runs import Run
from perdure.settings import Settings
from perdure.storage.claim_check import ClaimCheck
from perdure.worker import WorkerOptions, build_worker
from tests.support.dev_server import development_server
from tests.support.processes import Crew, kill

NAMED_WITHIN_S: Final = 120.0
COPY: Final[dict[str, Any]] = {"agent": "copyAgent", "inputs": {"x": 1}}
HELD: Final[dict[str, Any]] = {"agent": "heldAgent"}


@agent("heldAgent")
async def held() -> None:
    """Does not return."""
    await asyncio.Event().wait()


@agent("flakyAgent")
async def flaky() -> None:
    """Fails for now."""
    raise TransientError("429")


@agent("quickAgent")
async def quick(inputs: dict[str, Any]) -> dict[str, Any]:
    """Its inputs."""
    return inputs


@agent("largeAgent")
async def large() -> list[str]:
    """More than the history takes."""
    return ["a large value " * 200, "another"]


@workflow.defn(name="Graph", sandboxed=False)
class Broken:
    """A worker of another version, which cannot take any step of a run."""

    @workflow.run
    async def run(self, request: dict[str, Any]) -> None:
        """Raises."""
        raise RuntimeError("this worker is broken")


class Stage:
    """A server, and what the situations of one call have started."""

    def __init__(self, client: GraphClient, address: str, stack: AsyncExitStack) -> None:
        self.client, self.address, self._stack = client, address, stack
        own = map(declared, (held, flaky, quick, large))
        self._agents = {**catalog(), **{each.name: each for each in own if each is not None}}

    async def run(self, code: str, nodes: dict[str, Any], *, calls: int = 100, **options: Any) -> Run:
        """A run of these nodes, and a worker for it."""
        options = {"concurrency": 8, **options}
        limits = {"options": options.pop("options")} if "options" in options else {}
        run = await self.client.start({**options, "nodes": nodes}, id=code, queue=code, **limits)
        await self.worker(code, calls)
        return run

    async def worker(self, queue: str, calls: int = 100) -> None:
        """A worker until the end of the situation."""
        settings = self.client.settings
        options = WorkerOptions(
            agents=self._agents, settings=settings, concurrent_agents=calls, shares_slots=False
        )
        await self._stack.enter_async_context(build_worker(self.client.temporal, queue, options))

    async def broken_worker(self, queue: str) -> None:
        """One that fails at every step."""
        plain = await Client.connect(self.address)
        runner = UnsandboxedWorkflowRunner()
        worker = Worker(plain, task_queue=queue, workflows=[Broken], workflow_runner=runner)
        await self._stack.enter_async_context(worker)

    async def stopped_worker(self, run: Run, address: str) -> None:
        """A worker in a process of its own, stopped while it executes this node."""
        crew = Crew(self.client.settings.home / "crew", {"TEMPORAL_ADDRESS": self.address})
        process = crew.worker(run.id)
        self._stack.callback(kill, process)
        await named(run, address, "running")
        process.send_signal(signal.SIGSTOP)


Staged = Callable[[Stage, str], Awaitable[tuple[Run, str]]]


def graph(address: str, nodes: dict[str, Any], **options: Any) -> Staged:
    """A run of these nodes with a worker; the node at `address` is asked for."""

    async def staged(stage: Stage, code: str) -> tuple[Run, str]:
        return await stage.run(code, nodes, **options), address

    return staged


async def run_over(stage: Stage, code: str) -> tuple[Run, str]:
    run = await stage.run(code, {"a": HELD, "b": {**COPY, "inputs": {"x": ":a"}}})
    await named(run, "a", "running")
    await run.terminate()
    return run, "b"


async def run_paused(stage: Stage, code: str) -> tuple[Run, str]:
    run = await stage.run(code, {"a": HELD, "b": {**COPY, "inputs": {"x": ":a"}}})
    await named(run, "a", "running")
    request = PauseWorkflowExecutionRequest(
        namespace="default", workflow_id=code, identity="anna", reason="night", request_id="1"
    )
    await stage.client.temporal.workflow_service.pause_workflow_execution(request)
    return run, "b"


async def without_worker(stage: Stage, code: str) -> tuple[Run, str]:
    return await stage.client.start({"nodes": {"a": COPY}}, id=code, queue=code), "a"


async def cancelling(stage: Stage, code: str) -> tuple[Run, str]:
    run, address = await without_worker(stage, code)
    await run.cancel()
    return run, address


async def run_stuck(stage: Stage, code: str) -> tuple[Run, str]:
    run, address = await without_worker(stage, code)
    await stage.broken_worker(code)
    return run, address


async def paused(stage: Stage, code: str) -> tuple[Run, str]:
    run = await stage.run(code, {"a": {"agent": "flakyAgent", "backoff": 500}})
    await named(run, "a", "backoff")
    execution = WorkflowExecution(workflow_id=code)
    request = PauseActivityRequest(namespace="default", execution=execution, identity="anna", id="a")
    await stage.client.temporal.workflow_service.pause_activity(request)
    return run, "a"


async def workers_busy(stage: Stage, code: str) -> tuple[Run, str]:
    run = await stage.run(code, {"a": HELD, "b": HELD}, calls=1)
    while True:  # the worker chooses which one it takes
        causes = {name: (await run.explain(name)).cause.code for name in "ab"}
        for name, other in ("ab", "ba"):
            if causes == {name: "running", other: "workers-busy"}:
                return run, other
        await asyncio.sleep(0.1)


async def lost(stage: Stage, code: str) -> tuple[Run, str]:
    params = {"journal": str(stage.client.settings.home / "journal"), "seconds": 600}
    run = await stage.client.start(
        {"nodes": {"a": {"agent": "journalAgent", "params": params}}}, id=code, queue=code
    )
    await stage.stopped_worker(run, "a")
    return run, "a"


async def fetching(stage: Stage, code: str) -> tuple[Run, str]:
    nodes = {"a": {"agent": "largeAgent"}, "b": {**COPY, "if": ":a.$1"}}
    return await stage.run(code, nodes), "b"


async def continuing(stage: Stage, code: str) -> tuple[Run, str]:
    chain = {f"n{each}": {"agent": "quickAgent", "inputs": {"x": f":n{each - 1}"}} for each in range(1, 6)}
    nodes = {"n0": {"value": 1}, "held": HELD, **chain}
    run = await stage.run(code, nodes, options=RunOptions(events=14))
    for number in range(1, 6):  # the first one that is held back
        if (await settled(run, f"n{number}")).cause.code != "done":
            return run, f"n{number}"
    return run, "n5"


async def settled(run: Run, address: str) -> Any:
    """How a node is when it has its result, or nothing happens any more."""
    deadline = time.monotonic() + 15
    while True:
        explanation = await run.explain(address)
        if explanation.cause.code in ("done", "continuing") or time.monotonic() > deadline:
            return explanation
        await asyncio.sleep(0.1)


ROWS: Final = {"agent": "mapAgent", "inputs": {"rows": ":list"}, "graph": {"nodes": {"x": HELD}}}
LOOP: Final = {"loop": {"count": 5}, "concurrency": 8}
SITUATIONS: Final[dict[str, Staged]] = {
    "run-over": run_over,
    "run-paused": run_paused,
    "cancelling": cancelling,
    "run-stuck": run_stuck,
    "no-worker": without_worker,
    "skipped": graph("a", {"no": {"value": False}, "a": {**COPY, "if": ":no"}}),
    "inputs": graph("b", {"a": HELD, "b": {**COPY, "inputs": {"x": ":a"}}}),
    "never-ready": graph(
        "b",
        {"c": HELD, "no": {"value": False}, "a": {**COPY, "if": ":no"}, "b": {**COPY, "inputs": {"x": ":a"}}},
    ),
    "row": graph("m[1500].x", {"list": {"value": list(range(2000))}, "m": ROWS}),
    "pass": graph("a@3", {"a": HELD}, **LOOP),
    "slots": graph("b", {"a": HELD, "b": COPY}, concurrency=1),
    "label": graph(
        "b",
        {"a": {**HELD, "label": "gpu"}, "b": {**HELD, "label": "gpu"}},
        concurrency={"global": 8, "labels": {"gpu": 1}},
    ),
    "fetching": fetching,
    "continuing": continuing,
    "window": graph("n559", {f"n{number}": HELD for number in range(560)}, concurrency=600),
    "asks": graph("a", {"a": {"agent": "textInputAgent", "params": {"message": "Name?"}}}),
    "paused": paused,
    "no-queue-worker": graph("a", {"a": {**COPY, "queue": "served-by-none"}}),
    "workers-busy": workers_busy,
    "backoff": graph("a", {"a": {"agent": "flakyAgent", "backoff": 500}}),
    "lost": lost,
    "running": graph("a", {"a": HELD}),
    "done": graph("a", {"a": COPY, "b": HELD}),
    "failed": graph("a", {"a": {"agent": "popAgent", "inputs": {}}}),
}


async def named(run: Run, address: str, code: str) -> str:
    """Asks until this cause is named. The last one that was named instead, if it is not, "" if it is."""
    deadline, last = time.monotonic() + NAMED_WITHIN_S, ""
    while time.monotonic() < deadline:
        try:
            cause = (await run.explain(address)).cause
        except UsageError as error:  # it has not come so far that there is such a node
            last = str(error)
        else:
            last = f"{cause.code}: {cause.finding}"
            if cause.code == code:
                return ""
        await asyncio.sleep(0.2)
    return last


@asynccontextmanager
async def served(home: Path) -> AsyncGenerator[tuple[GraphClient, str]]:
    """A server that lets runs be paused, and its address. Of its store, values never arrive at a run."""
    async with development_server(home) as (temporal, address):
        settings = Settings(home=home, queues=("*",), grace=0, store_above=1_024, store=str(home / "store"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ClaimCheck, "answer", never)
            yield GraphClient(temporal, settings), address


async def never(self: ClaimCheck, distant: Any, whole: bool) -> Any:
    """Stands for a store that does not reply."""
    del self, distant, whole
    await asyncio.Event().wait()


async def main(codes: Sequence[str]) -> int:
    """Stages one after the other; the number of those that were not named."""
    missed = 0
    with tempfile.TemporaryDirectory() as home:
        async with served(Path(home)) as (client, address):
            for code in codes:
                began = time.monotonic()
                async with AsyncExitStack() as stack:
                    run, node = await SITUATIONS[code](Stage(client, address, stack), code)
                    other = await named(run, node, code)
                    if (await run.describe()).closed is None:
                        await run.terminate()
                missed += bool(other)
                took = f"{time.monotonic() - began:5.1f} s"
                print(f"{code:<16} {took}  {f'MISSED: {other}' if other else 'named'}", flush=True)
    print(f"{len(codes) - missed} of {len(codes)} named")
    return missed


if __name__ == "__main__":
    logging.disable()  # calls fail and workers are stopped on purpose
    sys.exit(1 if asyncio.run(main(sys.argv[1:] or list(SITUATIONS))) else 0)
