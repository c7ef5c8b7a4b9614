"""Filters around the calls of agents: which apply, in which order, what they may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.agent import AgentContext, agent
from perdure.agents.catalog import catalog, load_filters
from perdure.agents.filters import AgentFilter, FilteredCall, Next, applying
from perdure.agents.filters_shipped.watch import stepping, streaming
from perdure.agents.invoke import invoke
from perdure.agents.shipped.objects import spread
from perdure.engine.human_tasks import HumanPrompt
from perdure.engine.messages import RunOptions
from perdure.errors import FinalError, RunFailed, UsageError
from perdure.graph.values import Value
from perdure.protocol.agents import AgentRegistry, Placement
from perdure.protocol.records import to_plain
from perdure.testing import MemoryEnvironment, run_in_memory
from perdure.worker import WorkerOptions, build_worker
from tests.support.durable import embedded

COPY = {"agent": "copyAgent", "inputs": {"text": "in"}, "isResult": True}


def marking(mark: str) -> Any:
    """A filter that wraps the text of the inputs, and that of the result."""

    async def around(call: FilteredCall, next: Next) -> Value:
        text = call.inputs["text"]
        result = await next(replace(call, inputs={"text": f"{mark}({text})"}))
        return {"text": f"{result['text']}{mark}"}

    return around


def graph(**nodes: Any) -> dict[str, Any]:
    return {"version": 0.5, "nodes": nodes}


def run(document: dict[str, Any], *filters: AgentFilter, **more: Any) -> Mapping[str, Value]:
    options: RunOptions | None = more.pop("options", None)
    environment = MemoryEnvironment(filters=filters, **more)
    return run_in_memory(document, options=options, environment=environment).results


@pytest.mark.parametrize(
    ("agents", "nodes", "text"),
    [
        (None, None, "a(in)a"),
        ((), None, "in"),
        (None, (), "in"),
        ((), (), "in"),
        (("copyAgent",), None, "a(in)a"),
        (("other",), None, "in"),
        (None, ("n",), "a(in)a"),
        (None, ("m",), "in"),
        (("other",), ("n",), "a(in)a"),
        (("copyAgent",), ("m",), "a(in)a"),
        (("other",), ("m",), "in"),
    ],
)
def test_what_a_filter_applies_to(
    agents: tuple[str, ...] | None, nodes: tuple[str, ...] | None, text: str
) -> None:
    each = AgentFilter("a", marking("a"), agents, nodes)
    assert run(graph(n=COPY), each) == {"n": {"text": text}}
    directory = Placement(AgentRegistry(filters=[to_plain(each.scope)]))
    assert directory.filtered("copyAgent", "n") is (text != "in")


def test_filters_run_in_order_the_first_outermost() -> None:
    filters = [AgentFilter(mark, marking(mark)) for mark in "ab"]
    assert run(graph(n=COPY), *filters) == {"n": {"text": "b(a(in))ba"}}


def test_nodes_of_nested_graphs_are_filtered() -> None:
    inner = graph(n={**COPY, "inputs": {"text": ":row"}})
    rows = {"agent": "mapAgent", "inputs": {"rows": ["x", "y"]}, "graph": inner, "isResult": True}
    nested = {"agent": "nestedAgent", "inputs": {"row": "z"}, "graph": inner, "isResult": True}
    results = run(graph(rows=rows, nested=nested), AgentFilter("a", marking("a"), nodes=("n",)))
    assert results == {
        "rows": [{"n": {"text": "a(x)a"}}, {"n": {"text": "a(y)a"}}],
        "nested": {"n": {"text": "a(z)a"}},
    }


def test_filter_params_of_the_node_win_then_those_of_earlier_filters() -> None:
    """The graph sees the names of what filters gave, and the values of its own."""
    received: list[Any] = []

    async def untouched(call: FilteredCall, next: Next) -> Value:
        received[:] = [call.context.filter_params]
        return await next(call)

    async def adding(call: FilteredCall, next: Next) -> Value:
        more = {**spread(call.context.filter_params), "token": "operator's"}
        return await next(replace(call, context=replace(call.context, filter_params=more)))

    node = {
        "agent": "echoAgent",
        "params": {"filterParams": True},
        "filterParams": {"a": "node"},
        "isResult": True,
    }
    filters = [
        AgentFilter("1", untouched, filter_params={"a": 1, "b": 1}),
        AgentFilter("2", untouched, agents=(), filter_params={"c": 2}),
        AgentFilter("3", untouched, filter_params={"a": 3, "b": 3, "c": 3}),
    ]
    assert run(graph(n=node), *filters) == {"n": {"a": "node", "b": "***", "c": "***"}}
    assert received == [{"a": "node", "b": 1, "c": 3}]
    shown = run(graph(n=node), AgentFilter("4", adding))
    assert shown == {"n": {"a": "node", "token": "***"}}
    assert run(graph(n=node)) == {"n": {"a": "node"}}


def test_a_filter_sees_what_earlier_filters_gave_it() -> None:
    seen: list[Mapping[str, Value]] = []

    async def look(call: FilteredCall, next: Next) -> Value:
        seen.append(call.context.filter_params)
        return await next(call)

    first = AgentFilter("1", look, filter_params={"a": 1})
    run(graph(n=COPY), first, AgentFilter("2", look, filter_params={"a": 2, "b": 2}))
    assert seen == [{"a": 1}, {"a": 1, "b": 2}]


async def answer(call: FilteredCall, next: Next) -> Value:
    return {"by": call.context.agent, "known": call.agent is not None, "inputs": call.inputs}


async def decline(call: FilteredCall, next: Next) -> Value:
    return await next(call)


BYPASS = graph(n={"agent": "elsewhere", "inputs": {"x": 1}, "isResult": True})
ANSWERED = {"n": {"by": "elsewhere", "known": False, "inputs": {"x": 1}}}


@pytest.mark.parametrize(
    ("filters", "results"),
    [
        ([], {"n": None}),
        ([AgentFilter("a", answer)], ANSWERED),
        ([AgentFilter("d", decline), AgentFilter("a", answer, agents=("elsewhere",))], ANSWERED),
        ([AgentFilter("d", decline)], {"n": None}),
        ([AgentFilter("a", answer, agents=("other",))], {"n": None}),
    ],
)
def test_filters_answer_for_bypassed_agents(filters: list[AgentFilter], results: Any) -> None:
    assert run(BYPASS, *filters, options=RunOptions(bypass_agents=["elsewhere"])) == results


def test_people_are_not_answered_for() -> None:
    async def ask(question: HumanPrompt) -> str:
        return "me"

    document = graph(n={"agent": "textInputAgent", "isResult": True})
    assert run(document, AgentFilter("a", answer), ask=ask)["n"]["text"] == "me"
    with pytest.raises(RunFailed, match="no one is there to answer"):
        run(document, AgentFilter("a", answer))


def test_a_filter_may_put_another_agent_in_place() -> None:
    async def swap(call: FilteredCall, next: Next) -> Value:
        return await next(replace(call, agent=catalog()["echoAgent"], params={"swapped": True}))

    assert run(graph(n=COPY), AgentFilter("swap", swap)) == {"n": {"swapped": True}}


async def fail(call: FilteredCall, next: Next) -> Value:
    raise FinalError("refused by policy")


async def give_set(call: FilteredCall, next: Next) -> Value:
    return {1}


async def break_down(call: FilteredCall, next: Next) -> Value:
    raise KeyError("x")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (fail, "refused by policy"),
        (give_set, "copyAgent: a value of type set cannot pass through a graph"),
        (break_down, "KeyError: 'x'"),
    ],
)
def test_what_a_filter_raises_is_the_failure_of_the_node(function: Any, message: str) -> None:
    with pytest.raises(RunFailed) as failure:
        run(graph(n=COPY), AgentFilter("f", function))
    assert failure.value.errors == {"n": message}


def test_filters_count_against_the_timeout() -> None:
    import asyncio

    async def wait(call: FilteredCall, next: Next) -> Value:
        await asyncio.Event().wait()

    with pytest.raises(RunFailed) as failure:
        run(graph(n={**COPY, "timeout": 10}), AgentFilter("wait", wait))
    assert failure.value.result.states == {"n": "timed-out"}


@pytest.mark.anyio
async def test_results_are_values_before_a_filter_sees_them() -> None:
    @agent("numbers")
    def numbers() -> Any:
        return (1.0, 2)

    seen: list[Value] = []

    async def look(call: FilteredCall, next: Next) -> Value:
        seen.append(await next(call))
        return seen[-1]

    numbers_agent = numbers.agent
    result = await invoke(
        numbers_agent, {}, {}, AgentContext(agent="numbers"), filters=[AgentFilter("look", look)]
    )
    assert (seen, result) == ([[1, 2]], [1, 2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"function": lambda call, next: next(call)}, "its function is not async"),
        ({"function": decline, "agents": "copyAgent"}, r"agents must be a sequence; write \('copyAgent',\)"),
        ({"function": decline, "nodes": "n"}, "nodes must be a sequence"),
    ],
)
def test_filters_that_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=f"filter 'f': {message}"):
        AgentFilter("f", **arguments)


def test_an_object_can_be_the_function() -> None:
    class Around:
        async def __call__(self, call: FilteredCall, next: Next) -> Value:
            return "around"

    assert run(graph(n=COPY), AgentFilter("f", Around())) == {"n": "around"}


def test_which_filters_apply() -> None:
    every, some = AgentFilter("every", decline), AgentFilter("some", decline, agents=("a",), pure=True)
    assert applying([every, some], "a", "n") == (every, some)
    assert applying([some, every], "b", "n") == (every,)
    directory = Placement(AgentRegistry(filters=[to_plain(some.scope)]))
    assert directory.filtered("a", "n")
    assert not directory.filtered("a", "n", pure=False)


# ---- those that watch -------------------------------------------------------------------------------


def test_steps_follow_every_call() -> None:
    steps: list[Any] = []

    async def note(call: FilteredCall, result: Value) -> None:
        steps.append((call.context.path, result))

    document = graph(n=COPY, m={**COPY, "inputs": {"text": ":n.text"}})
    run(document, AgentFilter("step", stepping(note)))
    assert steps == [("n", {"text": "in"}), ("m", {"text": "in"})]


def test_streams_of_result_nodes_are_heard() -> None:
    pieces: list[Any] = []

    async def hear(call: FilteredCall, piece: Value) -> None:
        pieces.append((call.context.node, piece))

    node = {"agent": "streamMockAgent", "params": {"message": "hé", "sleep": 1}}
    document = graph(shown={**node, "isResult": True}, hidden=node)
    run(document, AgentFilter("stream", streaming(hear)))
    assert pieces == [("shown", "h"), ("shown", "é")]


@pytest.mark.anyio
async def test_a_stream_ends_with_its_call() -> None:
    heard: list[Any] = []
    kept: list[Any] = []

    @agent("leaky")
    async def leaky(context: AgentContext) -> None:
        kept.append(context.emit)
        await context.emit("in time")

    async def hear(call: FilteredCall, piece: Value) -> None:
        heard.append(("filter", piece))

    async def emit(piece: Value, /) -> None:
        heard.append(("shell", piece))

    context = AgentContext(is_result=True, emit=emit)
    filters = [AgentFilter("stream", streaming(hear))]
    await invoke(leaky.agent, {}, {}, context, filters=filters)
    await kept[0]("too late")
    assert heard == [("filter", "in time"), ("shell", "in time")]


# ---- modules of filters, and workers ----------------------------------------------------------------

MODULE = """
from perdure.agents.filters import AgentFilter
async def keep(call, next):
    return await next(call)
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("filters = [AgentFilter('b', keep), AgentFilter('a', keep)]", None),
        ("filters = (AgentFilter('b', keep), AgentFilter('a', keep))", None),
        ("", "no filters in it. Give it a list"),
        ("filters = AgentFilter('a', keep)", "no filters in it"),
        ("filters = [keep]", "<function keep at .*> in `filters` is not an AgentFilter"),
        (
            "filters = [AgentFilter('a', len)]",
            r"mine\.py:5: TypeError: filter 'a': its",
        ),
    ],
)
def test_filters_of_a_module(
    text: str, message: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "mine.py"
    path.write_text(MODULE + text)
    if message is None:
        assert [each.name for each in load_filters(str(path))] == ["b", "a"]
    else:
        with pytest.raises(UsageError, match=f"filters module .*{message}"):
            load_filters(str(path))


@pytest.mark.anyio
async def test_filters_of_a_worker(tmp_path: Path) -> None:
    placed: dict[str, str] = {}

    async def note(call: FilteredCall, next: Next) -> Value:
        from temporalio import activity

        placed[call.context.path] = "local" if activity.info().is_local else "activity"
        return await next(call)

    filters = [
        AgentFilter("note", note, pure=True),
        AgentFilter("mark", marking("a"), nodes=("marked", "inner")),
        AgentFilter("answer", answer, agents=("elsewhere",)),
    ]
    document = graph(
        plain=COPY,
        marked=COPY,
        nested={"agent": "nestedAgent", "graph": graph(inner=COPY), "isResult": True},
        away=BYPASS["nodes"]["n"],
        absent={"agent": "absent", "isResult": True},
    )
    async with embedded(tmp_path) as client:
        options = WorkerOptions(agents=catalog(), filters=filters)
        async with build_worker(client.temporal, "filtered", options):
            bypassed = ["elsewhere", "absent"]
            started = await client.start(
                document, queue="filtered", options=RunOptions(bypass_agents=bypassed)
            )
            result = await started.result()
    assert result.results == {
        "plain": {"text": "in"},
        "marked": {"text": "a(in)a"},
        "nested": {"inner": {"text": "a(in)a"}},
        "away": ANSWERED["n"],
        "absent": None,
    }
    assert placed == {
        "plain": "local",
        "marked": "activity",
        "nested.inner": "activity",
        "away": "activity",
        "absent": "activity",
    }
