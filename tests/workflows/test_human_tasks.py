"""Answers of people on a real server: none lost, none counted twice, and each person hears which."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.engine.messages import RunOptions
from perdure.errors import RunFailed, UsageError
from perdure.runs import Run
from perdure.worker import WorkerOptions, build_worker
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


def asking(**more: Any) -> dict[str, Any]:
    return {"nodes": {"ask": {"agent": "textInputAgent", "isResult": True, **more}}}


def form(**params: Any) -> dict[str, Any]:
    return {"nodes": {"ask": {"agent": "humanInputAgent", "isResult": True, "params": params}}}


@asynccontextmanager
async def working(client: GraphClient, queue: str) -> AsyncIterator[None]:
    options = WorkerOptions(agents=catalog(), settings=client.settings)
    async with build_worker(client.temporal, queue, options):
        yield


async def asked(run: Run, path: str = "ask") -> None:
    async def is_asked() -> bool:
        status = await run.status()
        return status is not None and path in [question.path for question in status.questions]

    await until(is_asked, f"{path} asks")


async def test_a_closed_question_says_who_has_answered(client: GraphClient) -> None:
    graph = {"nodes": {"ask": {"agent": "textInputAgent"}, "last": {"agent": "textInputAgent"}}}
    async with working(client, "closed"):
        run = await client.start(graph, queue="closed")
        await asked(run)
        first = await run.answer("ask", "yes", who="anna")
        assert first is not None
        assert (first.already, first.is_closed, first.who) == (False, True, "anna")
        again = await run.answer("ask", "yes", who="anna")
        assert again is not None
        assert (again.already, again.at) == (True, first.at)
        with pytest.raises(UsageError, match=r"ask is closed: answered by anna at .* UTC: yes"):
            await run.answer("ask", "yes", who="ben")
        with pytest.raises(UsageError, match="answered by anna"):
            await run.answer("ask", "no", who="anna")
        await run.answer("last", "done", who="ben")
        result = await run.result()
        assert [result.all[node]["text"] for node in ("ask", "last")] == ["yes", "done"]
        with pytest.raises(UsageError, match="has ended"):
            await run.answer("last", "more", who="ben")


async def test_an_id_is_for_one_answer(client: GraphClient) -> None:
    graph = {"nodes": {"ask": {"agent": "textInputAgent"}, "last": {"agent": "textInputAgent"}}}
    async with working(client, "ids"):
        run = await client.start(graph, queue="ids")
        await asked(run)
        await run.answer("ask", "A", who="anna", id="one")
        repeated = await run.answer("ask", "A", who="anna", id="one")
        assert repeated is not None
        assert repeated.path == "ask"
        with pytest.raises(UsageError, match="the id 'one' belongs to another answer"):
            await run.answer("ask", "B", who="ben", id="one")
        await run.terminate()


async def test_without_a_worker_the_server_keeps_the_answer(client: GraphClient) -> None:
    run = await client.start(asking(), queue="later")
    async with working(client, "later"):
        await asked(run)
    assert await asyncio.wait_for(run.answer("ask", "kept", who="anna"), 60) is None
    async with working(client, "later"):
        assert (await run.result()).results["ask"]["text"] == "kept"


async def test_an_answer_before_the_first_worker(client: GraphClient) -> None:
    run = await client.start(asking(), queue="first")
    assert await run.answer("ask", "early", who="anna") is None
    async with working(client, "first"):
        assert (await run.result()).results["ask"]["text"] == "early"


async def test_an_answer_before_its_question_waits_over_continue_as_new(client: GraphClient) -> None:
    graph = {
        "loop": {"count": 3},
        "nodes": {
            "n": {"value": 0, "update": ":next"},
            "first": {"agent": "textInputAgent"},
            "next": {"agent": "sleeperAgent", "inputs": {"after": ":first.text"}, "params": {"duration": 1}},
            "second": {"agent": "textInputAgent", "inputs": {"after": ":next"}, "isResult": True},
        },
    }
    async with working(client, "early"):
        run = await client.start(graph, queue="early", options=RunOptions(events=15))
        await asked(run, "first")
        for path in ("second@2", "first@2", "second@1", "first@1", "second"):
            kept = await run.answer(path, f"to {path}", who="anna")
            assert kept is not None
            assert kept.early
        with pytest.raises(UsageError, match="no single question is open at 'second@x'"):
            await run.answer("second@x", "x")
        status = await run.status()
        assert status is not None
        assert len(status.early) == 5
        await run.answer("first", "go", who="ben")
        assert (await run.result()).results["second"]["text"] == "to second@2"
    description = await run.describe()
    assert description.info.first_run_id != description.info.execution.run_id


async def test_the_timeout_of_a_node_closes_its_question(client: GraphClient) -> None:
    async with working(client, "timeout"):
        run = await client.start(asking(timeout=50), queue="timeout")
        with pytest.raises(RunFailed, match="Timeout") as failed:
            await run.result()
        assert failed.value.result.states == {"ask": "timed-out"}
        run = await client.start(asking(timeout=50, retry=1), queue="timeout")
        with pytest.raises(RunFailed, match="Timeout"):
            await run.result()


async def test_a_form_with_a_quorum(client: GraphClient) -> None:
    quorum = {"need": 2, "same": "decision", "against": "veto"}
    async with working(client, "quorum"):
        run = await client.start(form(choices=["yes", "no", "veto"], quorum=quorum), queue="quorum")
        await asked(run)
        with pytest.raises(UsageError, match="must be one of yes, no, veto"):
            await run.answer("ask", "perhaps", who="anna")
        counts = []
        for who, value in (("anna", "yes"), ("ben", "no"), ("anna", "no")):
            receipt = await run.answer("ask", value, who=who)
            assert receipt is not None
            counts.append((receipt.count, receipt.need))
        assert counts == [(1, 2), (1, 2), (2, 2)]
        result = (await run.result()).results["ask"]
    assert (result["answer"], result["how"]) == ({"decision": "no"}, "quorum")
    assert [each["who"] for each in result["by"]] == ["ben", "anna"]


async def test_the_answer_of_a_form_that_no_person_fills(client: GraphClient) -> None:
    params = {
        "choices": ["yes", "no"],
        "escalate": {"after": 20, "who": ["group:leads"]},
        "timeout": {"after": "200ms", "result": {"decision": "no"}},
    }
    async with working(client, "silence"):
        run = await client.start(form(**params), queue="silence")
        result = (await run.result()).results["ask"]
    assert result == {"answer": {"decision": "no"}, "by": [], "how": "timeout"}


async def test_a_worker_dies_with_the_answer(client: GraphClient) -> None:
    graph = {
        "nodes": {"a": {"agent": "textInputAgent"}, "b": {"agent": "textInputAgent", "inputs": {"a": ":a"}}}
    }
    run = await client.start(graph, queue="death")
    async with working(client, "death"):
        await asked(run, "a")
        await asyncio.gather(*(run.answer("a", "once", who="anna", id="same") for _ in range(5)))
    async with working(client, "death"):
        repeated = await run.answer("a", "once", who="anna", id="again")
        assert repeated is not None
        assert repeated.already
        await run.answer("b", "end", who="anna")
        result = await run.result()
    assert [result.all[node]["text"] for node in ("a", "b")] == ["once", "end"]


async def test_a_name_is_short(client: GraphClient) -> None:
    async with working(client, "names"):
        run = await client.start(asking(), queue="names")
        await asked(run)
        with pytest.raises(UsageError, match="names who answers in at most 200 characters"):
            await run.answer("ask", "x", who="a" * 201)
        await run.answer("ask", "x", who="a" * 200)
        await run.result()


async def test_what_people_are_asked(client: GraphClient) -> None:
    asking_two = {
        "nodes": {
            "a": {"agent": "humanInputAgent", "params": {"who": ["o'anna", "group:x"]}, "isResult": True},
            "b": {"agent": "textInputAgent"},
        }
    }

    async def seen(who: str | None) -> set[str]:
        return {item.prompt.path async for item in client.pending(who) if item.run == run.id}

    async with working(client, "inbox"):
        run = await client.start(asking_two, queue="inbox", id="inbox")
        await asked(run, "b")
        assert [prompt.path for prompt in await run.questions()] == ["a", "b"]

        async def is_indexed() -> bool:
            return await seen(None) == {"a", "b"}

        await until(is_indexed)
        assert [await seen("o'anna"), await seen("ben")] == [{"a", "b"}, {"b"}]
        await run.answer("b", "x")

        async def is_left_out() -> bool:
            return await seen("ben") == set()

        await until(is_left_out)
        assert await seen("group:x") == {"a"}
        await run.answer("a", "y")
        await run.result()
        assert await run.questions() == ()
