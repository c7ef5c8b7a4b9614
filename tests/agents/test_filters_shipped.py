"""The filters that come with Perdure: the check of inputs, the cache, agents on another server."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.agent import Agent, AgentContext, agent, declared
from perdure.agents.catalog import catalog
from perdure.agents.filters import AgentFilter, FilteredCall
from perdure.agents.filters_shipped.cache import (
    FolderCache,
    MemoryCache,
    ResultCache,
    ResultCacheBackend,
    caching,
)
from perdure.agents.filters_shipped.http import STREAM_END_MARKER, Split, remote
from perdure.agents.filters_shipped.schema import checking_inputs
from perdure.agents.invoke import invoke
from perdure.engine.messages import RunOptions
from perdure.errors import AgentError, FinalError, TransientError
from perdure.graph.values import UNDEFINED, Value
from perdure.settings import Settings
from perdure.testing import MemoryEnvironment, run_in_memory_async
from tests.support.servers import Answer, Seen, Server, json_answer, serve

pytestmark = pytest.mark.anyio


def of(function: Any) -> Agent:
    agent = declared(function)
    assert agent is not None
    return agent


async def call(
    agent: Agent | None,
    inputs: Value,
    params: Mapping[str, Value],
    /,
    *filters: Any,
    **more: Any,
) -> Value:
    context = AgentContext(agent=agent.name if agent else "elsewhere", **more)
    named = [AgentFilter(f"f{number}", function) for number, function in enumerate(filters)]
    return await invoke(agent, inputs, params, context, filters=named)


# ---- inputs that fit ---------------------------------------------------------------------------------


@agent("any", pure=True, inputs={"type": "array"})
def anything() -> str:
    return "called"


@agent(
    "strict",
    pure=True,
    inputs={
        "type": "object",
        "properties": {"n": {"type": "number"}, "rows": {"type": "array", "items": {"type": "string"}}},
        "required": ["n"],
        "additionalProperties": False,
    },
)
def strict() -> Any:
    return "called"


@pytest.mark.parametrize(
    ("function", "inputs", "finding"),
    [
        (strict, {"n": 1, "rows": []}, None),
        (strict, {"n": math.nan, "rows": UNDEFINED}, None),
        (anything, {}, None),
        (strict, {}, "inputs: 'n' is a required property"),
        (strict, None, "inputs: 'n' is a required property"),
        (strict, {"n": UNDEFINED}, "inputs: 'n' is a required property"),
        (strict, {"n": True}, "inputs.n: True is not of type 'number'"),
        (strict, {"n": 1, "rows": ["a", 2]}, "inputs.rows[1]: 2 is not of type 'string'"),
        (
            strict,
            {"n": "x", "rows": 1},
            "inputs.n: 'x' is not of type 'number'; inputs.rows: 1 is not of type 'array'",
        ),
        (strict, {"n": "x" * 1000}, "inputs.n: '" + "x" * 189 + "…"),
    ],
)
async def test_inputs_are_checked(function: Any, inputs: Value, finding: str | None) -> None:
    check = checking_inputs()
    if finding is None:
        assert await call(of(function), inputs, {}, check) == "called"
        return
    with pytest.raises(FinalError) as failure:
        await call(of(function), inputs, {}, check, node="N")
    assert str(failure.value) == f"N({of(function).name}) schema not matched: {finding}"


async def test_each_agent_is_checked_by_its_own_schema() -> None:
    check = checking_inputs()
    assert await call(of(strict), {"n": 1}, {}, check) == "called"
    renamed = Agent(name="strict", function=lambda: "other", pure=True, inputs={"required": ["m"]})
    assert await call(renamed, {"m": 1}, {}, check) == "other"
    assert await call(None, {}, {}, check) is None


@pytest.mark.parametrize("agent", catalog().values(), ids=list(catalog()))
async def test_samples_of_shipped_agents_fit(agent: Agent) -> None:
    async def reached(call: FilteredCall, next: Any) -> Value:
        return "reached"

    for sample in agent.samples:
        assert await call(agent, sample.inputs, sample.params, checking_inputs(), reached) == "reached"


# ---- the cache --------------------------------------------------------------------------------------


def caches(folder: Path) -> dict[str, ResultCacheBackend]:
    return {"memory": MemoryCache(), "folder": FolderCache(folder / "cache")}


KINDS = pytest.mark.parametrize("kind", ["memory", "folder"])


class Counted:
    """An agent that counts its calls, and returns what its params say."""

    def __init__(self, result: Value = None, **how: Any) -> None:
        self.calls = 0

        def give(inputs: dict[str, Any]) -> Any:
            self.calls += 1
            return result

        self.agent = of(agent("counted", **how)(give))


@KINDS
@pytest.mark.parametrize(
    "result", [None, UNDEFINED, 0, "", {"b": 1, "a": [UNDEFINED, math.inf, -0.0]}, "\ud83c", "é\n🎈"]
)
async def test_a_pure_agent_is_called_once(kind: str, result: Value, tmp_path: Path) -> None:
    counted = Counted(result, pure=True)
    cached = caching(caches(tmp_path)[kind])
    results = [await call(counted.agent, {"x": UNDEFINED}, {"p": 1}, cached) for _ in range(3)]
    assert counted.calls == 1
    assert [repr(each) for each in results] == [repr(result)] * 3


async def test_what_is_another_call() -> None:
    counted = Counted(pure=True)
    cached = caching(MemoryCache())
    for inputs, params in [
        ({"a": 1}, {}),
        ({"a": "1"}, {}),
        ({"a": None}, {}),
        ({"a": UNDEFINED}, {}),
        ({}, {"a": 1}),
        ({"a": 1, "b": 2}, {}),
        ({"b": 2, "a": 1}, {}),
    ]:
        before = counted.calls
        await call(counted.agent, inputs, params, cached)
        await call(counted.agent, inputs, params, cached, node="another", is_result=True)
        assert counted.calls == before + 1, (inputs, params)


async def test_a_result_of_the_cache_is_nobodys_else() -> None:
    counted = Counted({"list": [1]}, pure=True)
    cached = caching(MemoryCache())
    first = await call(counted.agent, {}, {}, cached)
    first["list"].append(2)
    assert await call(counted.agent, {}, {}, cached) == {"list": [1]}


async def test_failures_are_not_kept() -> None:
    calls: list[int] = []

    @agent("failing", pure=True)
    def failing() -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise AgentError("once")
        return "later"

    cached = caching(MemoryCache())
    with pytest.raises(AgentError, match="once"):
        await call(of(failing), {}, {}, cached)
    assert [await call(of(failing), {}, {}, cached) for _ in range(2)] == ["later", "later"]
    assert len(calls) == 2


async def test_other_agents_are_called_each_time_unless_named() -> None:
    counted = Counted("x")
    cached, named = caching(MemoryCache()), caching(MemoryCache(), also=("counted",))
    for _ in range(2):
        await call(counted.agent, {}, {}, cached)
    assert counted.calls == 2
    for _ in range(2):
        await call(counted.agent, {}, {}, named)
    assert counted.calls == 3
    assert await call(None, {}, {}, cached) is None


async def test_an_agent_that_sees_its_context_is_no_function_of_its_inputs() -> None:
    cached = caching(MemoryCache())
    merge = catalog()["mergeNodeIdAgent"]
    results = [await call(merge, {"array": []}, {}, cached, node=node) for node in ("a", "b")]
    assert results == [{"a": "hello"}, {"b": "hello"}]


async def test_config_counts_for_agents_that_see_it() -> None:
    @agent("model")
    async def model(context: AgentContext) -> Any:
        return context.config["temperature"]

    cached = caching(MemoryCache(), also=("model",))
    results = [await call(of(model), {}, {}, cached, config={"temperature": heat}) for heat in (0, 1, 0)]
    assert results == [0, 1, 0]


async def test_an_answer_is_of_one_service_and_one_account() -> None:
    @agent("model")
    async def model(context: AgentContext) -> Any:
        return [dict(context.settings.keys), dict(context.settings.base_urls)]

    cached = caching(MemoryCache(), also=("model",))
    around = [
        Settings(keys={"openai": "sk-1"}),
        Settings(keys={"openai": "sk-2"}),
        Settings(keys={"openai": "sk-2"}, base_urls={"openai": "http://gateway/v1"}),
    ]
    results = [await call(of(model), {}, {}, cached, settings=settings) for settings in around]
    assert results == [[dict(one.keys), dict(one.base_urls)] for one in around]


async def test_a_folder_is_of_its_owner_alone(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path / "cache")
    await cache.put("k", b"v")
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "cache").rglob("*") if path.is_dir()}
    files = {path.stat().st_mode & 0o777 for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert (modes | {(tmp_path / "cache").stat().st_mode & 0o777}, files) == ({0o700}, {0o600})


async def test_an_impure_agent_may_use_the_cache_itself() -> None:
    asked: list[str] = []

    @agent("careful")
    async def careful(inputs: dict[str, Any], context: AgentContext) -> Any:
        results: ResultCache = context.filter_params["cache"]
        try:
            return await results.get(inputs["key"])
        except KeyError:
            asked.append(inputs["key"])
            await results.put(inputs["key"], "kept")
            return "fresh"

    cached = caching(MemoryCache())
    assert [await call(of(careful), {"key": "../k"}, {}, cached) for _ in range(2)] == ["fresh", "kept"]
    assert asked == ["../k"]


async def test_memory_forgets_what_was_not_used() -> None:
    cache = MemoryCache(limit=10)
    for key in "abc":
        await cache.put(key, b"1234")
        await cache.get("a")
    assert [await cache.get(key) for key in "abc"] == [b"1234", None, b"1234"]
    await cache.put("a", b"12345")
    await cache.put("big", b"x" * 11)
    assert [await cache.get(key) for key in ("a", "c", "big")] == [None, None, None]
    assert cache.size == 0


async def test_a_damaged_file_is_no_answer(tmp_path: Path) -> None:
    counted = Counted("x", pure=True)
    cached = caching(FolderCache(tmp_path))
    for damage in (b"", b"x", None):
        await call(counted.agent, {}, {}, cached)
        [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
        path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
    assert await call(counted.agent, {}, {}, cached) == "x"
    assert counted.calls == 4


async def test_a_folder_is_shared_and_holds_whole_files_only(tmp_path: Path) -> None:
    data = [str(number).encode() * 50_000 for number in range(8)]
    await asyncio.gather(*(FolderCache(tmp_path).put("k", each) for each in data))
    assert await FolderCache(tmp_path).get("k") in data
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


async def test_a_folder_that_fails_is_an_empty_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    counted, lines = Counted("x", pure=True), list[str]()
    cached = caching(FolderCache(tmp_path / "file"))
    assert await call(counted.agent, {}, {}, cached, path="a.b", log=lines.append) == "x"
    assert [line.partition(": [")[0] for line in lines] == [
        "a.b: the cache cannot be read",
        "a.b: the cache cannot be written",
    ]


# ---- agents on another server -----------------------------------------------------------------------


def echo(seen: Seen) -> Answer:
    return json_answer({"path": seen.path, "headers": dict(seen.headers), "body": seen.json})


def at(server: Server, **more: Any) -> dict[str, Any]:
    return {"server": {"baseUrl": f"{server.url}/agents", **more}}


def allowing(server: Server) -> Settings:
    return Settings(allow_hosts=(server.host,))


async def test_a_call_goes_to_the_server_that_the_node_names() -> None:
    with serve(echo) as server:
        result = await call(
            catalog()["copyAgent"],
            {"text": "é", "gone": UNDEFINED, "nan": math.nan},
            {"p": [1]},
            caching(MemoryCache()),
            remote(),
            node="n",
            retry=2,
            filter_params={**at(server), "cache": object(), "more": 1},
            settings=allowing(server),
            config={"headers": {"Authorization": "Bearer x", "content-type": "text/plain", "Host": "evil"}},
            idempotency_key="k",
        )
    assert result["path"] == "/agents/copyAgent"
    assert result["body"] == {
        "params": {"p": [1]},
        "debugInfo": {
            "nodeId": "n",
            "agentId": "copyAgent",
            "retry": 2,
            "verbose": False,
            "version": 0.5,
            "isResult": False,
        },
        "filterParams": {**at(server), "more": 1},
        "namedInputs": {"text": "é", "nan": None},
        "inputs": [],
    }
    sent = {
        name: result["headers"].get(name)
        for name in ("authorization", "content-type", "host", "idempotency-key")
    }
    assert sent == {
        "authorization": None,
        "content-type": "application/json",
        "host": server.host,
        "idempotency-key": "k",
    }


async def test_nodes_of_a_graph_run_elsewhere() -> None:
    def shout(seen: Seen) -> Answer:
        return json_answer({"text": seen.json["namedInputs"]["text"].upper()})

    document = {
        "version": 0.5,
        "nodes": {
            "here": {"agent": "copyAgent", "inputs": {"text": "a"}, "isResult": True},
            "rows": {
                "agent": "mapAgent",
                "inputs": {"rows": ["b", "c"]},
                "graph": {
                    "version": 0.5,
                    "nodes": {"there": {"agent": "shouter", "inputs": {"text": ":row"}, "isResult": True}},
                },
                "isResult": True,
            },
        },
    }
    with serve(shout) as server:
        filters = [AgentFilter("remote", remote(f"{server.url}/api/"), agents=("shouter",))]
        options = RunOptions(bypass_agents=["shouter"])
        environment = MemoryEnvironment(filters=filters)
        result = await run_in_memory_async(document, options=options, environment=environment)
    assert result.results == {
        "here": {"text": "a"},
        "rows": [{"there": {"text": "B"}}, {"there": {"text": "C"}}],
    }
    assert [seen.path for seen in server.seen] == ["/api/shouter"] * 2


async def test_where_a_call_goes() -> None:
    with serve(echo) as mine, serve(echo) as theirs:
        copy, ours, headers = catalog()["copyAgent"], remote(mine.url), {"headers": {"x-token": "secret"}}
        result = await call(copy, {}, {}, ours, config=headers)
        assert (result["path"], result["headers"]["x-token"]) == ("/copyAgent", "secret")
        filter_params = {"server": {"serverAgentUrlDictionary": {"copyAgent": f"{theirs.url}/own"}}}
        more: dict[str, Any] = {
            "filter_params": filter_params,
            "config": headers,
            "settings": allowing(theirs),
        }
        result = await call(copy, {}, {}, ours, **more)
        assert result["path"] == "/own"
        assert "x-token" not in result["headers"]
        result = await call(copy, {}, {}, remote(), **more)
        assert "x-token" not in result["headers"]
        with pytest.raises(FinalError, match="is out of bounds for graphs"):
            await call(copy, {}, {}, ours, filter_params=filter_params)
    assert await call(copy, {"a": 1}, {}, remote()) == {"a": 1}


async def test_what_the_operator_gave_goes_to_no_server_of_a_graph() -> None:
    """The config of the run, and filter params of the worker, whichever of them names the server."""
    with serve(echo) as theirs:
        copy, config = catalog()["copyAgent"], {"headers": {"x-token": "secret"}}
        for by_operator in (False, True):
            operators = {"key": "operator's", **(at(theirs) if by_operator else {})}
            filter_params = {"mine": 1, **({} if by_operator else at(theirs))}
            around = AgentContext(
                agent="copyAgent", config=config, filter_params=filter_params, settings=allowing(theirs)
            )
            filters = [AgentFilter("remote", remote(), filter_params=operators)]
            result = await invoke(copy, {}, {}, around, filters=filters)
            assert result["headers"].get("x-token") == ("secret" if by_operator else None)
            assert result["body"]["filterParams"].get("key") == ("operator's" if by_operator else None)
            assert result["body"]["filterParams"]["mine"] == 1


async def test_an_agents_name_is_one_step_of_the_path() -> None:
    with serve(echo) as server:
        strange = Agent(name="../admin?x", function=lambda: None)
        assert (await call(strange, {}, {}, remote(f"{server.url}/a")))["path"] == "/a/..%2Fadmin%3Fx"


@pytest.mark.parametrize("server", [True, {}, {"baseUrl": ""}, {"serverAgentUrlDictionary": {"other": "x"}}])
async def test_a_server_without_a_place(server: Value) -> None:
    with pytest.raises(FinalError, match=r"copyAgent: filterParams\.server names no place to call\n  hint: "):
        await call(catalog()["copyAgent"], {}, {}, remote(), filter_params={"server": server})


async def test_debug_shows_the_address() -> None:
    lines: list[str] = []
    with serve(echo) as server:
        more: dict[str, Any] = {"filter_params": at(server, isDebug=True), "settings": allowing(server)}
        await call(catalog()["copyAgent"], {}, {}, remote(), path="a.n", log=lines.append, **more)
        assert lines == [f"a.n: POST {server.url}/agents/copyAgent"]


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (
            Answer(status=500, body=b"oops k3y!"),
            TransientError,
            r"copyAgent: its server answered 500: oops \*\*\*",
        ),
        (Answer(status=429, headers={"Retry-After": "3"}), TransientError, "answered 429"),
        (Answer(status=404, body=b"none"), FinalError, "copyAgent: its server answered 404: none"),
        (Answer(status=302, headers={"Location": "http://127.0.0.1/"}), FinalError, "answered 302"),
        (Answer(body=b"<p>"), AgentError, "copyAgent: the answer of its server is not JSON"),
        (Answer(status=204), AgentError, "is not JSON"),
        (Answer(end="reset"), TransientError, "copyAgent: its server: "),
        (Answer(pieces=(b"[1",), end="truncated"), TransientError, "copyAgent: its server: "),
    ],
)
async def test_what_a_server_may_do_wrong(answer: Answer, kind: type[AgentError], message: str) -> None:
    config = {"headers": {"X-Key": "k3y!"}}
    with serve(lambda seen: answer) as server:  # noqa: SIM117 -- one statement may raise
        with pytest.raises(kind, match=message) as failure:
            await call(catalog()["copyAgent"], {}, {}, remote(server.url), config=config)
    assert type(failure.value) is kind
    if isinstance(failure.value, TransientError) and "429" in message:
        assert failure.value.retry_after == 3


async def test_without_a_listener() -> None:
    with serve(echo) as server:
        closed = server.url
    with pytest.raises(TransientError, match="copyAgent: its server: "):
        await call(catalog()["copyAgent"], {}, {}, remote(closed))


STREAM = "né🎈".encode()


@pytest.mark.parametrize(
    ("pieces", "tokens"),
    [
        ((STREAM, b"___END___", b'{"a":[1]}'), "né🎈"),
        ((STREAM[:2], STREAM[2:6], STREAM[6:] + b"___EN", b'D___{"a"', b":[1]}"), "né🎈"),
        ((b'___END___{"a":[1]}',), ""),
        ((b"a___E", b"b__", b"__END___", b'{"a":[1]}'), "a___Eb_"),
    ],
)
async def test_tokens_are_emitted_as_they_come(pieces: tuple[bytes, ...], tokens: str) -> None:
    emitted: list[Value] = []

    async def emit(piece: Value, /) -> None:
        emitted.append(piece)

    answer = Answer(headers={"Content-Type": "text/event-stream"}, pieces=pieces)
    with serve(lambda seen: answer) as server:
        result = await call(catalog()["copyAgent"], {}, {}, remote(server.url), is_result=True, emit=emit)
        assert server.seen[0].headers["content-type"] == "text/event-stream"
    assert ("".join(emitted), result) == (tokens, {"a": [1]})
    assert "" not in emitted


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(headers={"Content-Type": "application/json; charset=utf-8"}, body=b"[1]"), [1]),
        (
            Answer(headers={"Content-Type": "text/event-stream"}, body=b"tok"),
            "copyAgent: its server ended the stream before ___END___",
        ),
        (Answer(status=403, body=b"no"), "copyAgent: its server answered 403: no"),
    ],
)
async def test_a_server_that_does_not_stream(answer: Answer, outcome: Value) -> None:
    with serve(lambda seen: answer) as server:
        try:
            result = await call(catalog()["copyAgent"], {}, {}, remote(server.url), is_result=True)
        except AgentError as error:
            result = str(error)
    assert result == outcome


@pytest.mark.parametrize("size", range(1, 12))
async def test_a_stream_is_parted_wherever_it_breaks(size: int) -> None:
    emitted: list[str] = []

    async def emit(text: str) -> None:
        emitted.append(text)

    split = Split(emit)
    text = f"__a___END__b_{STREAM_END_MARKER}rest {STREAM_END_MARKER} and more"
    for start in range(0, len(text), size):
        await split.add(text[start : start + size])
    assert ("".join(emitted), "".join(split.rest)) == ("__a___END__b_", f"rest {STREAM_END_MARKER} and more")
