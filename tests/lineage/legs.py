"""Runs of ten executions and more, with each codec and with values in the store: rerun, compared, patched.

python -m tests.lineage.legs [off|mac|aead]…
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from perdure import Sample, agent
from perdure.agents.agent import Agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient, connect
from perdure.engine.granting.prices import Prices
from perdure.engine.messages import RunOptions
from perdure.errors import UsageError
from perdure.garbage import find_garbage, remove_garbage
from perdure.graph.deferred import BlobRef
from perdure.history.rerun import compared_calls
from perdure.lineage.change import Change
from perdure.lineage.compare import call_differences
from perdure.runs import Run
from perdure.worker import WorkerOptions, build_worker
from tests.support.durable import embedded
from tests.support.waiting import until

PASS_COUNT = 12
LEG_COUNT = 10
"""Executions that a run must have, at the least."""

EVENT_COUNT = 12
"""Events after which a run continues as new: within each pass."""

LARGE_CHARS = 4_000
STORE_ABOVE_BYTES = 1_000


def graph_of(passes: int = PASS_COUNT, style: str = "plain") -> dict[str, Any]:
    """A loop over a call whose result is large, and a map that waits for it."""
    return {
        "version": 0.5,
        "loop": {"count": passes},
        "nodes": {
            "number": {"value": 0, "update": ":next.result"},
            "who": {"agent": "model", "inputs": {"text": "who"}, "params": {"style": "once"}},
            "draft": {"agent": "model", "inputs": {"text": ":number"}, "params": {"style": style}},
            "rows": {
                "agent": "mapAgent",
                "inputs": {"rows": ["a", "b"], "number": ":number"},
                "if": ":draft",
                "params": {"compositeResult": True},
                "graph": {
                    "nodes": {
                        "note": {
                            "agent": "model",
                            "inputs": {"text": "${:row} ${:number}"},
                            "isResult": True,
                        }
                    }
                },
            },
            "next": {
                "agent": "dataSumTemplateAgent",
                "inputs": {"array": [":number", 1], "after": ":rows.note.length()"},
            },
            "end": {
                "agent": "copyAgent",
                "inputs": {"draft": ":draft", "notes": ":rows.note", "who": ":who"},
                "isResult": True,
            },
        },
    }


@dataclass
class Site:
    """A server with one worker, and what its agent was asked, which waits at `held` until `released`."""

    client: GraphClient
    calls: Counter[str] = field(default_factory=Counter[str])
    held: str = ""
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def agents(self) -> dict[str, Agent]:
        """With a model that writes much."""

        @agent("model", samples=[Sample(inputs={"text": "x"}, result="")])
        async def model(inputs: dict[str, Any], params: dict[str, Any]) -> Any:
            """Writes."""
            text = f"{params.get('style', '')} {inputs['text']}"
            self.calls[text] += 1
            if text == self.held:
                await self.released.wait()
            return (text * LARGE_CHARS)[:LARGE_CHARS]

        return {**catalog(), **agents_by_name([model])}

    async def ended(self, run: Run, calls: int, legs: int = 1) -> Run:
        """The run, at its end. It replays, and has made this many calls in `legs` executions or more."""
        await asyncio.wait_for(run.result(), 300)
        model = await run.history()
        assert model.problem is None, model.problem
        assert len(model.chain) >= legs, f"{len(model.chain)} executions"
        assert self.calls.total() == calls, f"{self.calls.total()} calls instead of {calls}: {self.calls}"
        self.calls.clear()
        return run

    async def delete(self, *runs: Run) -> int:
        """Deletes runs with all their executions, and what the store then holds for no run; how much."""
        for run in runs:
            for leg in (await run.history()).chain:
                request = DeleteWorkflowExecutionRequest(
                    namespace=self.client.temporal.namespace,
                    workflow_execution=WorkflowExecution(workflow_id=run.id, run_id=leg.execution),
                )
                await self.client.temporal.workflow_service.delete_workflow_execution(request)
        for run in runs:
            await until(lambda run=run: self._is_gone(run))
        store = self.client.claims.store
        assert store is not None
        now = time.time() + 1

        def silent(what: str, count: int) -> None:
            del what, count

        garbage = await find_garbage(self.client.temporal, store, now, silent)
        return len(await remove_garbage(store, garbage, now, silent))

    async def _is_gone(self, run: Run) -> bool:
        try:
            await run.describe()
        except UsageError:
            return True
        return False


@asynccontextmanager
async def site(home: Path, codec: str) -> AsyncGenerator[Site]:
    """A server of its own, whose payloads are plain, signed or encrypted."""
    async with embedded(home) as plain:
        settings = replace(plain.settings, codec=codec, store_above=STORE_ABOVE_BYTES)
        client = await connect(settings)
        try:
            place = Site(client)
            options = WorkerOptions(agents=place.agents(), settings=settings)
            async with build_worker(client.temporal, "test-legs", options):
                yield place
        finally:
            client.close()


async def check(place: Site, passes: int, legs: int) -> str:
    """A run of `legs` executions or more, and all that can be done with it. Raises AssertionError."""
    every = 4 * passes
    options = RunOptions(events=EVENT_COUNT)
    run = await place.client.start(graph_of(passes), id="long", queue="test-legs", options=options)
    await place.ended(run, every, legs)
    model = await run.history()
    assert isinstance(model.nodes["draft"].result, BlobRef)
    same = await place.ended(await run.rerun(), 0)
    assert await results(same) == await results(run)
    one = await place.ended(await run.rerun(Change(begin_at=[f"draft@{passes // 2}"])), 1)
    assert await kinds(run, one) == {"equal": len(model.calls)}
    bold = Change(params={"draft.style": "bold"})
    await place.ended(await run.rerun(bold), passes, legs // 2)
    with pytest.raises(UsageError, match="model may have effects"):
        await run.replay(bold)
    alone = await place.ended(await run.replay(bold, calls=["model"], keeps_upstream=True), passes, legs // 2)
    assert (await kinds(run, alone))["inputs"] == passes
    patched = await place.ended(await patched_in_the_middle(place, passes, options), every + 1, legs)
    again = await place.ended(await patched.rerun(), passes // 2, 1)  # the passes before the change
    assert (await results(again)) == await results(patched)
    removed = await place.delete(run, one, alone, again)
    last = await place.ended(await same.rerun(), 0)
    assert await results(last) == await results(same)
    executions = f"{len(model.chain)} and {len((await patched.history()).chain)} executions"
    return f"{executions}, {len(model.calls)} calls, {removed} objects deleted with four of the runs"


async def patched_in_the_middle(place: Site, passes: int, options: RunOptions) -> Run:
    """A run of which a param is changed while the call that has it is open."""
    place.held = f"plain {passes // 2}"
    run = await place.client.start(graph_of(passes), id="changed", queue="test-legs", options=options)
    await until(lambda: place.calls[place.held] > 0)
    await run.patch(graph_of(passes, "bold"), running="cancel", who="anna")
    place.released.set()
    return run


async def results(run: Run) -> Any:
    return (await run.result()).results


async def kinds(first: Run, second: Run) -> Counter[str]:
    """How the calls of two runs differ."""
    calls = [compared_calls(await run.history(), Prices()) for run in (first, second)]
    return Counter(difference.kind for difference in call_differences(*calls))


async def main(codecs: list[str]) -> None:
    for codec in codecs or ["off", "mac", "aead"]:
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as home:
            async with site(Path(home), codec) as place:
                outcome = await check(place, PASS_COUNT, LEG_COUNT)
        print(f"{codec}: {outcome}, {time.perf_counter() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
