"""Reruns of agents whose code has changed or that are called in each run, and of results that are lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from perdure import Sample, agent
from perdure.agents.agent import Agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.graph.deferred import BlobRef
from perdure.history.rerun import RerunPlan
from perdure.lineage.change import Change
from perdure.temporal.offered_agents import offered_agents
from perdure.worker import WorkerOptions, build_worker
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

GRADED: dict[str, Any] = {
    "nodes": {
        "text": {"value": "an essay"},
        "mark": {"agent": "grade", "inputs": {"text": ":text"}, "isResult": True},
        "sent": {"agent": "mail", "inputs": {"text": ":mark"}},
    }
}


def graders(word: str, calls: Counter[str]) -> dict[str, Agent]:
    """An agent whose code differs with the word, and one that is called in each run."""

    @agent("grade", samples=[Sample(inputs={"text": "x"}, result=word)])
    async def grade(inputs: dict[str, Any]) -> Any:
        """Grades."""
        del inputs
        calls["grade"] += 1
        return word

    @agent("mail", samples=[Sample(inputs={"text": "x"}, result="sent")], reuse=False)
    async def mail(inputs: dict[str, Any]) -> Any:
        """Sends."""
        calls[f"mail {inputs['text']}"] += 1
        return "sent"

    return {**catalog(), **agents_by_name([grade, mail])}


async def test_agents_of_other_code_and_those_that_are_called_in_each_run(client: GraphClient) -> None:
    queue, calls = "test-graders", Counter[str]()
    options = WorkerOptions(agents=graders("good", calls), settings=client.settings)
    async with build_worker(client.temporal, queue, options):
        run = await client.start(GRADED, id="graded", queue=queue)
        assert (await run.result()).results == {"mark": "good"}
        assert (await run.plan_rerun()).changed_agents == []
    options = WorkerOptions(agents=graders("better", calls), settings=client.settings)
    async with build_worker(client.temporal, queue, options):
        calls.clear()

        async def plan_with_code() -> RerunPlan | None:
            plan = await run.plan_rerun()
            return plan if plan.knows_code else None  # the worker has not asked for work yet

        plan = await until(plan_with_code)
        assert (plan.changed_agents, plan.effects) == (["grade"], ["mail"])
        assert [row.why for row in plan.rows] == ["", "mail is called in each run"]
        again = await run.rerun()
        assert (await again.result()).results == {"mark": "good"}
        assert calls == {"mail good": 1}
        plan = await again.plan_rerun(Change(changed_agents=True))
        assert plan.rows[0].why == "the code of grade has changed"
        changed = await again.rerun(Change(changed_agents=True))  # it knows the code of the first run
        assert (await changed.result()).results == {"mark": "better"}
        assert calls == {"mail good": 1, "grade": 1, "mail better": 1}
        last = await changed.rerun(Change(changed_agents=True))
        assert (await last.result()).results == {"mark": "better"}
        assert calls == {"mail good": 1, "grade": 1, "mail better": 2}
        assert await offered_agents(client.temporal, "test-no-such-queue", ["grade"], local=True) is None


LARGE: dict[str, Any] = {
    "nodes": {
        "big": {"agent": "letters", "inputs": {"count": 300_000}},
        "size": {"agent": "copyAgent", "inputs": {"x": ":big.length()"}, "isResult": True},
        "all": {"agent": "letters", "inputs": {"text": ":big", "count": 1}, "isResult": True},
    }
}


async def test_a_result_that_the_store_has_lost_is_made_again(client: GraphClient) -> None:
    calls = Counter[str]()

    @agent("letters", samples=[Sample(inputs={"count": 2}, result="xx")])
    async def letters(inputs: dict[str, Any]) -> Any:
        """Many letters."""
        calls[str(inputs["count"])] += 1
        return "x" * inputs["count"]

    options = WorkerOptions(agents={**catalog(), **agents_by_name([letters])}, settings=client.settings)
    async with build_worker(client.temporal, "test-lost", options):
        run = await client.start(LARGE, id="lost", queue="test-lost")
        expected = (await run.result()).results
        stored = (await run.history()).nodes["big"].result
        assert isinstance(stored, BlobRef)
        assert client.claims.store is not None
        (lost,) = Path(client.claims.store.place).rglob(stored.digest)
        lost.unlink()
        plan = await run.plan_rerun()
        assert [(row.address, row.why) for row in plan.rows if row.runs] == [
            ("big", "its result is no longer in the store")
        ]
        again = await run.rerun()
        assert (await again.result()).results == expected
        assert calls == {"300000": 2, "1": 1}
        assert (await again.history()).problem is None
