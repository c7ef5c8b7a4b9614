"""The workflow on a real server: people, streams, console, windows, and what ends typed."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from perdure.agents.agent import Agent, AgentContext, agent
from perdure.agents.catalog import catalog
from perdure.cli.doctor import queues
from perdure.client import GraphClient
from perdure.engine.human_tasks import HumanPrompt
from perdure.engine.messages import RunOptions
from perdure.errors import (
    GraphError,
    RunCancelled,
    RunConflict,
    RunFailed,
    TransientError,
    UsageError,
)
from perdure.monitoring.report import RunReport
from perdure.monitoring.view import StreamPiece
from perdure.runs import Run
from perdure.storage.claim_check import ClaimCheck
from perdure.worker import WorkerOptions, build_worker
from tests.support.durable import started

pytestmark = pytest.mark.anyio


def agents(*functions: Any) -> dict[str, Agent]:
    return {**catalog(), **{function.agent.name: function.agent for function in functions}}


async def run(client: GraphClient, name: str, nodes: dict[str, Any], *functions: Any, **top: Any) -> Any:
    document = {"version": 0.5, "nodes": nodes, **top}
    async with started(client, name, document, agents(*functions), client.settings) as going:
        return await going.result()


async def test_a_person_answers_once(client: GraphClient) -> None:
    nodes = {
        "who": {"agent": "textInputAgent", "params": {"message": "name?", "required": True}},
        "hi": {"agent": "copyAgent", "inputs": {"text": "Hi ${:who.text}"}, "isResult": True},
    }
    async with started(client, "person", {"nodes": nodes}, catalog(), client.settings) as going:
        await until_asked(going)
        with pytest.raises(UsageError, match="requires a string that is not empty"):
            await going.answer("who", "")
        with pytest.raises(UsageError, match="waiting for an answer: who"):
            await going.answer("hi", "x")
        await going.answer("who", "Ada")
        assert (await going.result()).results == {"hi": {"text": "Hi Ada"}}


async def until_asked(going: Run) -> None:
    for _ in range(100):
        status = await going.status()
        if status is not None and status.questions:
            (question,) = status.questions
            assert replace(question, asked=0) == HumanPrompt(
                path="who", message="name?", required=True, node="who"
            )
            return
        await asyncio.sleep(0.05)
    raise AssertionError("no question was asked")


@agent("slowTalker")
async def slow_talker(context: AgentContext) -> str:
    """Streams ten words, and fails once in the middle."""
    for number in range(10):
        if context.attempt == 1 and number == 4:
            raise TransientError("the line broke")
        await context.emit(f"word{number} ")
        await asyncio.sleep(0.06)
    context.log("said it")
    return "done"


async def test_a_stream_repeats_nothing_after_a_retry(client: GraphClient) -> None:
    nodes = {"talk": {"agent": "slowTalker", "backoff": 0.1, "isResult": True}}
    pieces: list[StreamPiece] = []
    async with started(client, "stream", {"nodes": nodes}, agents(slow_talker), client.settings) as going:
        async for piece in going.stream(interval=0.05):
            pieces.append(piece)
        assert (await going.result()).results == {"talk": "done"}
        status = await going.status()
    assert status is not None
    assert list(status.console) == ["said it"]
    # the second attempt repeats what the first has streamed, which is not delivered again
    assert "".join(piece.text for piece in pieces) == "".join(f"word{number} " for number in range(10))
    assert [piece.offset for piece in pieces] == [
        sum(len(before.text) for before in pieces[:index]) for index in range(len(pieces))
    ]
    assert pieces[-1].attempt == 2


async def test_transient_failures_do_not_use_up_retry(client: GraphClient) -> None:
    calls: list[tuple[int, int]] = []

    @agent("shaky")
    async def shaky(context: AgentContext) -> int:
        calls.append((context.retry, context.attempt))
        if context.attempt < 3:
            raise TransientError("busy", retry_after=0.05)
        return len(calls)

    result = await run(client, "shaky", {"a": {"agent": "shaky", "isResult": True}}, shaky)
    assert result.results == {"a": 3}
    assert calls == [(0, 1), (0, 2), (0, 3)]


async def test_agent_errors_are_repeated_as_often_as_retry_says(client: GraphClient) -> None:
    seen: list[tuple[int, str]] = []

    @agent("failing")
    async def failing(context: AgentContext) -> None:
        seen.append((context.retry, context.idempotency_key))
        raise ValueError("no")

    with pytest.raises(RunFailed, match="ValueError: no") as caught:
        await run(client, "failing", {"a": {"agent": "failing", "retry": 2}}, failing)
    assert caught.value.errors == {"a": "ValueError: no"}
    assert [retry for retry, _ in seen] == [0, 1, 2]
    assert len({key for _, key in seen}) == 3  # other work each time


async def test_a_timeout_reaches_the_agent(client: GraphClient) -> None:
    ended: list[str] = []

    @agent("endless")
    async def endless() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with pytest.raises(RunFailed, match="Timeout") as caught:
        await run(client, "endless", {"a": {"agent": "endless", "timeout": 100}}, endless)
    assert caught.value.result.states == {"a": "timed-out"}
    assert ended == ["cancelled"]


async def test_unknown_agents_end_typed(client: GraphClient) -> None:
    with pytest.raises(GraphError, match="no agent 'copyAgnt'") as refused:
        await run(client, "unknown", {"a": {"agent": "copyAgnt"}})
    assert "Invalid Agent : copyAgnt" in refused.value.problems[0].graphai
    nodes = {"a": {"agent": "copyAgnt", "queue": "test-elsewhere", "isResult": True}}
    with pytest.raises(RunFailed, match="did you mean 'copyAgent'"):
        await run(client, "elsewhere", nodes)


@pytest.mark.parametrize(("chosen", "count"), [("copyAgent", 450), ("remoteCopy", 2_001)])
async def test_wide_fans_pass_the_windows(
    client: GraphClient, chosen: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The workflow shares this process with its agents and their client. On a busy machine it may get too
    # little of it for Temporal's detector, which calls it deadlocked after two seconds.
    monkeypatch.setenv("TEMPORAL_DEBUG", "1")

    @agent("remoteCopy")
    async def remote_copy(inputs: dict[str, Any]) -> dict[str, Any]:
        return inputs

    nodes: dict[str, Any] = {f"n{i}": {"agent": chosen, "inputs": {"i": i}} for i in range(count)}
    result = await run(client, f"wide-{chosen}", nodes, remote_copy, concurrency=5000)
    assert result.all == {f"n{i}": {"i": i} for i in range(count)}


@pytest.mark.parametrize("size", [60_000, 950_000])
async def test_large_values_pass_in_small_parts(client: GraphClient, size: int) -> None:
    nodes: dict[str, Any] = {"v": {"value": "x" * size}}
    for index in range(8):
        nodes[f"n{index}"] = {
            "agent": "copyAgent",
            "inputs": {"v": ":v"},
            "output": {"head": ".v.slice(0,3)"},
            "isResult": True,
        }
    document = {"nodes": nodes, "concurrency": 100}
    async with started(client, f"large-{size}", document, catalog(), client.settings) as going:
        result = await going.result()
    assert result.results == {f"n{index}": {"head": "xxx"} for index in range(8)}


async def test_what_is_too_large_ends_typed_where_there_is_no_store(client: GraphClient) -> None:
    @agent("huge")
    async def huge() -> str:
        return "x" * 2_100_000

    bare = replace(client, settings=replace(client.settings, store=None), claims=ClaimCheck(None, 0))
    with pytest.raises(RunFailed, match=r"2\.1 MB cannot pass[^\0]*set PERDURE_STORE"):
        await run(bare, "huge-result", {"a": {"agent": "huge"}}, huge)
    half = {"agent": "copyAgent", "params": {"namedKey": "v"}, "inputs": {"v": ":v"}}
    nodes = {"v": {"value": "x" * 1_500_000}, "a": half, "b": half}
    with pytest.raises(RunFailed, match="the results of all nodes"):
        await run(bare, "huge-all", nodes)


async def test_cancelling_stops_agents_and_nested_graphs(client: GraphClient) -> None:
    ended: list[str] = []

    @agent("waiting")
    async def waiting(context: AgentContext) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(context.path)

    inner = {"nodes": {"w": {"agent": "waiting"}}}
    nodes = {
        "m": {"agent": "mapAgent", "inputs": {"rows": [1, 2]}, "graph": inner},
        "a": {"agent": "waiting"},
    }
    async with started(client, "cancel", {"nodes": nodes}, agents(waiting), client.settings) as going:
        report = await until_pending(going, 3)
        assert {call.path for call in report.pending} == {"m[0].w", "m[1].w", "a"}
        await going.cancel()
        with pytest.raises(RunCancelled):
            await going.result()
        for _ in range(300):
            if len(ended) == 3:
                break
            await asyncio.sleep(0.05)
        description = await going.handle.describe()
    assert sorted(ended) == ["a", "m[0].w", "m[1].w"]
    assert description.status is WorkflowExecutionStatus.CANCELED


async def test_the_doctor_names_calls_that_take_long(
    client: GraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    @agent("hangs")
    async def hangs() -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(queues, "LONG_CALL_S", 0)
    document = {"nodes": {"n": {"agent": "hangs"}}}
    async with started(client, "hangs", document, agents(hangs), client.settings) as going:
        async with asyncio.timeout(180):
            while not (long_calls := (await queues.needs_of(client.temporal)).long):
                await asyncio.sleep(0.1)
        await going.cancel()
        with pytest.raises(RunCancelled):
            await going.result()
    assert [(run, call.path, call.agent) for run, call in long_calls if run == going.id] == [
        (going.id, "n", "hangs")
    ]


async def until_pending(going: Run, count: int) -> RunReport:
    for _ in range(200):
        report = await going.report()
        if sum(call.started for call in report.pending) == count:
            return report
        await asyncio.sleep(0.05)
    raise AssertionError(f"{count} calls never were pending")


async def test_the_same_id_attaches_and_another_body_conflicts(client: GraphClient) -> None:
    graph = {"nodes": {"v": {"value": 1}, "a": {"agent": "copyAgent", "inputs": {"v": ":v"}}}}
    options = WorkerOptions(agents=catalog(), settings=client.settings)
    async with build_worker(client.temporal, "test-same", options):
        runs = await asyncio.gather(*(client.start(graph, id="same", queue="test-same") for _ in range(10)))
        assert {(await going.handle.describe()).run_id for going in runs} == {
            (await runs[0].handle.describe()).run_id
        }
        await runs[0].result()
        again = await client.start(graph, id="same", queue="test-same")
        assert (await again.result()).all == {"v": 1, "a": {"v": 1}}
        with pytest.raises(RunConflict, match="another graph or other inputs"):
            await client.start(graph, {"v": 2}, id="same", queue="test-same")
        description = await again.describe()
        assert set(description.memo) == {"graph", "body", "started"}
        names = set(description.info.search_attributes.indexed_fields)
        assert "PerdureGraph" in names


async def test_inputs_go_into_static_nodes_only(client: GraphClient) -> None:
    graph = {"nodes": {"v": {"value": 1}, "a": {"agent": "copyAgent", "inputs": {"v": ":v"}}}}
    with pytest.raises(UsageError, match="'a' is computed\n  hint: inputs go into static nodes: "):
        await client.start(graph, {"a": 2})
    with pytest.raises(UsageError, match="'w' is not a node"):
        await client.start(graph, {"w": 2})
    with pytest.raises(UsageError, match="not a valid id"):
        await client.start(graph, id="a\nb")


LOOPING: dict[str, Any] = {
    "loop": {"count": 60},
    "nodes": {
        "sum": {"value": 0, "update": ":next.n"},
        "local": {"agent": "copyAgent", "inputs": {"n": ":sum.add(1)"}},
        "next": {"agent": "remoteStep", "inputs": {"n": ":local.n"}, "console": {"after": True}},
    },
}


@agent("remoteStep")
async def remote_step(inputs: dict[str, Any]) -> dict[str, Any]:
    return inputs


async def test_a_loop_continues_as_new(client: GraphClient) -> None:
    options = WorkerOptions(agents=agents(remote_step), settings=client.settings)
    async with build_worker(client.temporal, "test-chain", options):
        going = await client.start(LOOPING, name="chain", queue="test-chain", options=RunOptions(events=100))
        first = (await going.handle.describe()).run_id
        result = await going.result()
        status = await going.status()
    assert result.all == {"sum": 60, "local": {"n": 60}, "next": {"n": 60}}
    assert status is not None
    assert status.console_offset == 60
    handle = client.temporal.get_workflow_handle(going.id, run_id=first)
    history = await handle.fetch_history()
    assert len(history.events) < 150
    assert history.events[-1].HasField("workflow_execution_continued_as_new_event_attributes")


async def test_a_map_and_a_question_continue_as_new(client: GraphClient) -> None:
    inner = {"nodes": {"c": {"agent": "remoteStep", "inputs": {"n": ":row"}, "isResult": True}}}
    document = {
        "concurrency": 5,
        "nodes": {
            "ask": {"agent": "textInputAgent", "params": {"message": "name?", "required": True}},
            "rows": {"value": list(range(80))},
            "map": {"agent": "mapAgent", "inputs": {"rows": ":rows"}, "graph": inner, "isResult": True},
            "end": {"agent": "copyAgent", "inputs": {"t": "${:ask.text} ${:map.length()}"}, "isResult": True},
        },
    }
    options = WorkerOptions(agents=agents(remote_step), settings=client.settings)
    async with build_worker(client.temporal, "test-chain2", options):
        going = await client.start(
            document, name="chain2", queue="test-chain2", options=RunOptions(events=120)
        )
        first = (await going.handle.describe()).run_id
        for _ in range(400):
            status = await going.status()
            if status is not None and status.counts.get("completed", 0) == 81:
                break
            await asyncio.sleep(0.05)
        assert (await going.handle.describe()).run_id != first
        await going.answer("ask", "Ada")
        result = await going.result()
    assert result.results["end"] == {"t": "Ada 80"}
    assert result.results["map"] == [{"c": {"n": number}} for number in range(80)]


async def test_long_calls_are_not_repeated_for_the_sake_of_history(client: GraphClient) -> None:
    calls: list[str] = []

    @agent("long")
    async def long(context: AgentContext) -> int:
        calls.append(context.path)
        await asyncio.sleep(3)
        return 1

    document = {**LOOPING, "loop": {"count": 25}}
    nodes = {
        "long": {"agent": "long", "isResult": True},
        "loop": {"agent": "nestedAgent", "graph": document, "isResult": True},
    }
    options = WorkerOptions(agents=agents(remote_step, long), settings=client.settings)
    async with build_worker(client.temporal, "test-long", options):
        going = await client.start(
            {"nodes": nodes}, name="long", queue="test-long", options=RunOptions(events=60)
        )
        result = await going.result()
    assert result.results["long"] == 1
    assert calls == ["long"]


async def test_the_failure_of_a_run_names_the_node_and_shows_no_stack(client: GraphClient) -> None:
    @agent("oddAgent")
    def odd(inputs: Any) -> int:
        """Takes odd numbers."""
        if inputs["row"] % 2 == 0:
            raise ValueError("even")
        return inputs["row"]

    graph = {"nodes": {"check": {"agent": "oddAgent", "inputs": {"row": ":row"}}}}
    nodes = {"m": {"agent": "mapAgent", "inputs": {"rows": [1, 2]}, "graph": graph}}
    async with started(client, "named", {"nodes": nodes}, agents(odd), client.settings) as going:
        with pytest.raises(RunFailed, match=r"^ValueError: even"):
            await going.result()
        history = await going.handle.fetch_history()
        failure = history.events[-1].workflow_execution_failed_event_attributes.failure
        assert (failure.message, failure.stack_trace) == ("m[1].check: ValueError: even", "")
        assert not failure.HasField("cause")
        model = await going.history()
        assert model.node("m[1].check").failure == "ValueError: even"
