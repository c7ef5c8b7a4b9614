"""Reruns on a real server: what is called again, what is reused, and what the history of a rerun holds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from perdure import Sample, agent
from perdure.agents.agent import Agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.engine.messages import RunOptions
from perdure.errors import RunFailed
from perdure.lineage.change import Change
from perdure.runs import Run
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio

STORY: dict[str, Any] = {
    "version": 0.5,
    "nodes": {
        "topic": {"value": "sea"},
        "titles": {"value": ["a", "b", "c"]},
        "outline": {"agent": "model", "inputs": {"text": ":topic"}, "params": {"tone": "calm"}},
        "chapters": {
            "agent": "mapAgent",
            "inputs": {"rows": ":titles", "outline": ":outline.text"},
            "params": {"compositeResult": True},
            "graph": {
                "nodes": {
                    "draft": {"agent": "model", "inputs": {"text": "${:row} of ${:outline}"}},
                    "upper": {
                        "agent": "stringCaseVariantsAgent",
                        "inputs": {"text": ":draft.text"},
                        "isResult": True,
                    },
                }
            },
        },
        "review": {"agent": "model", "inputs": {"text": ":chapters.upper.length()"}, "isResult": True},
    },
}


class Models:
    """An agent that counts what it is asked, and fails for what is `broken`."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.broken: set[str] = set()

    def agents(self) -> dict[str, Agent]:
        @agent("model", samples=[Sample(inputs={"text": "x"}, params={}, result={"text": "x!"})])
        async def model(inputs: dict[str, Any], params: dict[str, Any]) -> Any:
            """Answers."""
            text = str(inputs["text"])
            self.calls[text] += 1
            await asyncio.sleep(0)
            if text in self.broken:
                raise ValueError("broken")
            return {"text": f"{text}{params.get('tone', '')}!", "usage": {"total_tokens": 7}}

        return {**catalog(), **agents_by_name([model])}


@asynccontextmanager
async def ran(
    client: GraphClient, name: str, models: Models, document: Any = STORY, **options: Any
) -> AsyncIterator[Run]:
    """A run that has ended, and a worker that is still there."""
    worker = WorkerOptions(agents=models.agents(), settings=client.settings)
    async with build_worker(client.temporal, f"test-{name}", worker):
        run = await client.start(
            document, id=name, name=name, queue=f"test-{name}", options=RunOptions(**options)
        )
        with suppress(RunFailed):
            await run.result()
        yield run


async def test_a_run_that_failed_is_continued_where_it_failed(client: GraphClient) -> None:
    models = Models()
    models.broken.add("b of sea!")
    models.broken.add("b of seacalm!")
    async with ran(client, "rerun-failed", models) as run:
        models.broken.clear()
        plan = await run.plan_rerun()
        before = models.calls.copy()
        again = await run.rerun()
        result = await again.result()
        assert again.id == "rerun-failed~2"
        assert result.results["review"]["text"] == "3!"
        called = models.calls - before
        assert called["b of seacalm!"] == 1
        assert called["seacalm"] == called["sea"] == 0
        rows = {row.address: row for row in plan.rows}
        assert (rows["outline"].reused, rows["outline"].runs) == (1, 0)
        assert rows["review"].is_unknown
        memo = (await again.describe()).memo
        assert (memo["rerunOf"], memo["root"]) == ("rerun-failed", "rerun-failed")
        model = await again.history()
        assert model.problem is None


async def test_only_what_depends_on_a_change_is_called(client: GraphClient) -> None:
    models = Models()
    async with ran(client, "rerun-change", models) as run:
        models.calls.clear()
        same = await run.rerun()
        assert (await same.result()).results == (await run.result()).results
        assert not models.calls
        rows = await same.rerun(Change(values={"titles": ["c", "new", "a"]}))
        assert (await rows.result()).results == (await run.result()).results
        assert models.calls == {"new of seacalm!": 1}
        models.calls.clear()
        tone = await rows.rerun(Change(params={"outline.tone": "wild"}))
        await tone.result()
        assert models.calls["sea"] == 1
        assert models.calls.total() == 4


LOOP: dict[str, Any] = {
    "loop": {"count": 10},
    "nodes": {
        "total": {"value": 0, "update": ":sum.x"},
        "said": {"agent": "model", "inputs": {"text": ":total"}},
        "sum": {"agent": "copyAgent", "inputs": {"x": ":said.text"}, "isResult": True},
    },
}


async def test_a_rerun_that_continues_as_new_remembers_what_it_has_reused(client: GraphClient) -> None:
    models = Models()
    async with ran(client, "rerun-chain", models, LOOP, events=8) as run:
        assert len((await run.history()).chain) >= 10
        models.calls.clear()
        again = await run.rerun(Change(begin_at=[f"said@{number}" for number in range(6, 10)]))
        assert (await again.result()).results == (await run.result()).results
        model = await again.history()
        assert len(model.chain) > 1
        assert models.calls.total() == 4
        assert [call.recalled is not None for call in model.calls if call.command.node == "said"] == [
            *[True] * 6,
            *[False] * 4,
        ]


async def test_a_rerun_of_a_rerun_needs_no_run_before_it(client: GraphClient) -> None:
    models = Models()
    large = {"nodes": {"big": {"agent": "model", "inputs": {"text": "x" * 300_000}, "isResult": True}}}
    async with ran(client, "rerun-grand", models, large) as run:
        expected = (await run.result()).results
        second = await run.rerun()
        assert (await second.result()).results == expected
        request = DeleteWorkflowExecutionRequest(
            namespace=client.temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=run.id),
        )
        await client.temporal.workflow_service.delete_workflow_execution(request)
        third = await second.rerun()
        assert third.id == "rerun-grand~3"
        assert (await third.result()).results == expected
        assert models.calls.total() == 1


async def test_reruns_of_one_run_at_the_same_time_are_different_runs(client: GraphClient) -> None:
    models = Models()
    async with ran(client, "rerun-twice", models) as run:
        changes = [Change(values={"topic": word}) for word in ("lake", "river", "pond")]
        again = await asyncio.gather(*(run.rerun(change) for change in changes))
        assert {each.id for each in again} == {f"rerun-twice~{number}" for number in (2, 3, 4)}
        results = [await each.result() for each in again]
        outlines = [result.all["outline"]["text"] for result in results]
        assert outlines == ["lakecalm!", "rivercalm!", "pondcalm!"]
