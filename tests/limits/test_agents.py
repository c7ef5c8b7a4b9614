"""Limits of agents and of the activities that call them, each at its number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from perdure import AgentContext, agent
from perdure.activities.activity import AgentActivities
from perdure.activities.segment_bounds import SegmentBounds
from perdure.agents.agent import Agent
from perdure.agents.catalog import catalog
from perdure.agents.filters import AgentFilter, FilteredCall, through
from perdure.agents.filters_shipped.http import remote
from perdure.agents.llm import openai_client
from perdure.agents.llm.agents import openai_chat
from perdure.agents.llm.stream import Assembly
from perdure.agents.shipped.embeddings import string_embeddings
from perdure.errors import AgentError
from perdure.graph.deferred import BlobRef
from perdure.net.failures import redact
from perdure.protocol.payloads import AgentCall, BatchCall, FirstSegmentRequest, RunRequest
from perdure.protocol.records import to_plain
from perdure.protocol.wire import metadata_of, pack, unpack
from perdure.settings import Settings
from perdure.storage import Store, open_store
from perdure.storage.claim_check import ClaimCheck
from perdure.storage.memory import Memory
from tests.support.servers import EVENTS, Answer, embedded, serve

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def _clients() -> AsyncIterator[None]:
    yield
    await openai_client.close_clients()


def activities(*functions: Any, claims: ClaimCheck | None = None) -> AgentActivities:
    agents: dict[str, Agent] = {**catalog(), **{each.agent.name: each.agent for each in functions}}
    settings = Settings(store_above=10_000_000)
    return AgentActivities(agents=agents, settings=settings, claims=claims or ClaimCheck(None, 10_000_000))


# A segment


@agent("wordy", pure=True)
def wordy(params: dict[str, Any], context: AgentContext) -> Any:
    """Logs lines, and returns a string of `size` characters."""
    for _ in range(params.get("lines", 0)):
        context.log("l" * params.get("width", 1))
    return "x" * params.get("size", 1)


class Together(Memory):
    """A store that confirms nothing before `least` objects are on their way."""

    def __init__(self, least: int) -> None:
        super().__init__("together")
        self.least, self.begun, self.calls_then = least, 0, 0
        self.go = asyncio.Event()

    async def write(self, name: str, data: bytes) -> None:
        """As in memory."""
        self.begun += 1
        if self.begun == self.least:
            await asyncio.sleep(0.05)
            self.calls_then = len(CALLS)
            self.go.set()
        await self.go.wait()
        await super().write(name, data)


CALLS: list[int] = []


@agent("numbered", pure=True)
def numbered() -> str:
    """A large string, another one each time."""
    CALLS.append(1)
    return f"{len(CALLS)} " * 2_000


async def test_large_results_of_a_segment_are_stored_together() -> None:
    CALLS.clear()
    backend = Together(32)
    worker = activities(numbered, claims=ClaimCheck(Store(backend), 1_000))
    nodes = {f"n{index}": {"agent": "numbered"} for index in range(40)}
    beginning = pack(FirstSegmentRequest(request=to_plain(RunRequest(document={"nodes": nodes}))))
    done = unpack(await ActivityEnvironment().run(worker.directory, beginning))["first"]
    assert backend.calls_then == 32
    assert len([item async for item in backend.list()]) == len(done["answers"]) >= 32


async def first(count: int, **params: Any) -> dict[str, Any]:
    """What the first segment of a run of `count` nodes that need nothing comes to."""
    nodes = {f"n{index}": {"agent": "wordy", "params": params} for index in range(count)}
    request = RunRequest(document={"concurrency": 20_000, "nodes": nodes})
    beginning = pack(FirstSegmentRequest(request=to_plain(request)), limited=False)
    return unpack(await ActivityEnvironment().run(activities(wordy).directory, beginning))["first"]


async def test_answers_of_a_segment() -> None:
    for pauses, most in ((True, 6_000), (False, 3_000)):
        bounds = SegmentBounds()
        bounds.take_over()
        bounds.work(recalls=True, pauses=pauses)
        assert not bounds.are_reached(most - 1)
        assert bounds.are_reached(most)


async def test_bytes_of_a_segment() -> None:
    answers = (await first(100, size=100_000))["answers"]
    assert len(answers) in (9, 10)


async def test_console_of_a_segment() -> None:
    assert len((await first(12, lines=100))["console"]) == 1_000
    assert [len(line) for line in (await first(1, lines=2, width=9_000))["console"]] == [8_000, 8_000]
    assert len((await first(1, lines=40, width=8_000))["console"]) == 24


async def test_segments_at_once() -> None:
    """A worker plays three segments at a time; the fourth waits."""
    working, go = [], asyncio.Event()
    loop = asyncio.get_running_loop()

    @agent("slow", pure=True)
    def slow() -> int:
        working.append(1)
        asyncio.run_coroutine_threadsafe(go.wait(), loop).result()
        return 1

    worker = activities(slow)
    request = RunRequest(document={"nodes": {"n": {"agent": "slow"}}})
    beginning = pack(FirstSegmentRequest(request=to_plain(request)))
    runs = [asyncio.create_task(ActivityEnvironment().run(worker.directory, beginning)) for _ in range(6)]
    while len(working) < 3:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert len(working) == 3
    go.set()
    await asyncio.gather(*runs)
    assert len(working) == 6


# An activity


async def called(worker: AgentActivities, name: str, call: Any, *, local: bool = False) -> RawValue:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, activity_type=name, is_local=local)
    arguments: Sequence[RawValue] = [pack(call)]
    return await environment.run(worker.run_agent, arguments)


async def test_result_of_a_local_activity() -> None:
    async def local(size: int) -> RawValue:
        call = AgentCall(agent="wordy", inputs={}, params={"size": size})
        return await called(activities(wordy), "wordy", call, local=True)

    assert len(unpack(await local(47_000))) == 47_000
    with pytest.raises(ApplicationError) as failure:
        await local(48_001)
    assert failure.value.type == "TooLargeForLocal"


async def test_console_of_a_call() -> None:
    call = AgentCall(agent="wordy", inputs={}, params={"lines": 300})
    assert len(metadata_of(await called(activities(wordy), "wordy", call), "console")) == 200
    wide = AgentCall(agent="wordy", inputs={}, params={"lines": 10, "width": 9_000})
    assert len(metadata_of(await called(activities(wordy), "wordy", wide), "console")) == 6


async def test_results_of_a_batch() -> None:
    """Calls that share an activity share 1 MB: results beyond a call's part of it go to the store."""

    async def results(size: int) -> Any:
        worker = activities(wordy, claims=ClaimCheck(open_store("memory://batch"), 10_000_000))
        calls = [to_plain(AgentCall(agent="wordy", inputs={}, params={"size": size})) for _ in range(10)]
        return unpack(await called(worker, "wordy", BatchCall(calls=calls)))

    assert isinstance((await results(99_000))[0][1], str)
    assert isinstance((await results(101_000))[0][1], BlobRef)


# Agents


async def test_texts_of_a_request_for_embeddings() -> None:
    with serve(embedded) as server:
        settings = Settings(keys={"openai": "sk-1"}, base_urls={"openai": f"{server.url}/v1"})
        context = AgentContext(agent="stringEmbeddingsAgent", settings=settings)
        assert len(await string_embeddings({"array": ["a"] * 1_500}, {}, context)) == 1_500
    assert [len(seen.json["input"]) for seen in server.seen] == [1_000, 500]


async def test_what_a_service_says_of_its_failure() -> None:
    assert redact("x" * 3_000, []) == "x" * 2_000 + "…"


async def test_characters_of_a_completion() -> None:
    stream = Assembly()
    for _ in range(5):
        stream.add({"choices": [{"index": 0, "delta": {"content": "x" * 1_000_000}}]})
    with pytest.raises(AgentError, match="longer than 5,000,000"):
        stream.add({"choices": [{"index": 0, "delta": {"content": "x"}}]})


@pytest.mark.parametrize(
    ("chunk", "finding"),
    [
        (
            lambda number: {"choices": [{"index": number, "delta": {"content": "x"}}]},
            r"a choice has index 128\b",
        ),
        (lambda number: {"choices": [{"index": -1}]}, "a choice has index -1"),
        (lambda number: {"choices": [], f"k{number}": "x"}, "more than 100 fields"),
        (lambda number: {"choices": [{"index": 0, "delta": {f"k{number}": "x"}}]}, "more than 100 fields"),
        (lambda number: {"choices": []}, "more than 200,000 chunks"),
    ],
    ids=["choices", "no choice", "fields", "fields of a message", "chunks"],
)
async def test_parts_of_a_completion(chunk: Callable[[int], dict[str, Any]], finding: str) -> None:
    stream = Assembly()

    def add_all() -> None:
        for number in range(200_001):
            stream.add(chunk(number))

    with pytest.raises(AgentError, match=finding):
        add_all()


async def test_a_completion_is_put_together_from_pieces() -> None:
    stream = Assembly()
    for piece in ("Good ", "\ud83d", "\ude00", "!"):
        stream.add({"id": "i", "choices": [{"index": 0, "delta": {"content": piece, "role": "assistant"}}]})
    for arguments in ('{"a":', "1}"):
        call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": arguments}}
        stream.add({"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "stop"}]})
    (choice,) = stream.completion()["choices"]
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert choice["message"] == {
        "refusal": None,
        "role": "assistant",
        "content": "Good \U0001f600!",
        "tool_calls": [call],
    }


async def test_bytes_of_a_models_answer() -> None:
    comment = b":" + b" " * 10_000_000 + b"\n\n"
    with serve(lambda _: Answer(headers=EVENTS, pieces=(comment,) * 6)) as server:
        config = {"apiKey": "k", "baseURL": f"{server.url}/v1"}
        context = AgentContext(
            agent="openAIAgent", config=config, settings=Settings(allow_hosts=(server.host,))
        )
        with pytest.raises(AgentError, match="larger than 50,000,000"):
            await openai_chat({"prompt": "x"}, {}, context)


async def test_bytes_of_a_remote_agents_answer() -> None:
    with serve(lambda _: Answer(pieces=(b" " * 10_000_000,) * 3)) as server:
        context = AgentContext(agent="copyAgent", settings=Settings(allow_hosts=(server.host,)))
        call = FilteredCall(agent=catalog()["copyAgent"], inputs={}, params={}, context=context)
        away = [AgentFilter("remote", remote(server.url))]
        with pytest.raises(AgentError, match="larger than 20,000,000"):
            await through(away, call, unreachable)


async def unreachable(call: FilteredCall) -> Any:
    raise AssertionError(call)
