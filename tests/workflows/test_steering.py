"""Runs that are changed while they run, on a real server; their histories replay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from perdure.agents.agent import agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.engine.messages import RunOptions
from perdure.engine.steering.request import Steering
from perdure.errors import UsageError
from perdure.runs import Run
from tests.support.durable import started
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

ASK = {"agent": "textInputAgent", "params": {"message": "name?"}}
RESULT = {"agent": "stringTemplateAgent", "isResult": True}


def letter(**nodes: Any) -> dict[str, Any]:
    """A graph that waits for a person, and then writes."""
    known = {
        "greeting": {"value": "Hi"},
        "shout": {"agent": "stringCaseVariantsAgent", "inputs": {"text": ":greeting"}, "isResult": True},
        "who": ASK,
        "hi": {**RESULT, "params": {"template": "${g} ${w}"}, "inputs": {"g": ":greeting", "w": ":who.text"}},
    }
    return {"nodes": {**known, **nodes}}


def changed(**params: Any) -> dict[str, Any]:
    document = letter()
    document["nodes"]["hi"] = {**document["nodes"]["hi"], **params}
    return document


BYE = changed(params={"template": "Bye ${w}"})


@asynccontextmanager
async def asking(client: GraphClient, name: str, document: Any, *functions: Any) -> AsyncGenerator[Run]:
    """The run, when it asks."""
    async with started(
        client, f"steer-{name}", document, {**catalog(), **agents_by_name(functions)}, client.settings
    ) as run:
        await when(run, lambda status: bool(status.questions))
        yield run


async def when(run: Run, holds: Callable[[Any], bool]) -> None:
    async def is_so() -> bool:
        status = await run.status()
        return status is not None and holds(status)

    await until(is_so)


async def states(run: Run) -> dict[str, str]:
    """Those of the nodes, by a replay of the history: it must not fail."""
    model = await run.history()
    assert model.problem is None
    return {address: node.state for address, node in model.nodes.items()}


async def test_nodes_that_have_not_begun_take_a_new_graph_over(client: GraphClient) -> None:
    async with asking(client, "patch", letter()) as run:
        known = await run.graph()
        receipt = await run.patch(BYE, who="anna", why="politer", if_hash=known.hash)
        assert [(node.place, node.action) for node in receipt.nodes] == [("hi", "takes over")]
        assert (await run.graph()).document == BYE
        await run.answer("who", "Ada")
        assert (await run.result()).results["hi"] == "Bye Ada"
        model = await run.history()
        (change,) = model.interventions
        assert (change.who, change.why, change.what) == ("anna", "politer", "graph replaced; hi takes over")
        assert (model.problem, model.graph, model.results["hi"]) == (None, BYE, "Bye Ada")


async def test_of_two_changes_of_the_same_graph_one_is_refused(client: GraphClient) -> None:
    async with asking(client, "race", letter()) as run:
        hash = (await run.graph()).hash
        before = len((await run.handle.fetch_history()).events)
        with pytest.raises(UsageError, match="it has a result, and its definition changes"):
            await run.patch(letter(shout={"agent": "copyAgent", "inputs": {"x": 1}}), if_hash=hash)
        assert len((await run.handle.fetch_history()).events) == before  # what is refused leaves no event
        graphs = {"anna": BYE, "bob": letter(x={"value": 1})}
        racing = [run.patch(new, who=who, if_hash=hash) for who, new in graphs.items()]
        done = await asyncio.gather(*racing, return_exceptions=True)
        (refusal,) = [each for each in done if isinstance(each, UsageError)]
        winner = (await run.graph()).interventions[0].who
        assert f"has the hash {(await run.graph()).hash}, changed by {winner}" in str(refusal)
        await run.answer("who", "Ada")
        await run.result()
        assert (await run.history()).problem is None


async def test_what_is_paused_does_not_start_before_it_is_resumed(client: GraphClient) -> None:
    async with asking(client, "pause", letter()) as run:
        await run.steer(Steering(pauses=["hi"]), who="anna")
        await run.answer("who", "Ada")
        await when(run, lambda status: status.counts.get("completed") == 2)
        assert (await states(run))["hi"] == "queued"
        cause = (await run.explain("hi")).cause
        assert (cause.code, cause.hint) == ("held", f"perdure resume {run.id} hi")
        await run.steer(Steering(resumes=[""]), who="anna")
        assert (await run.result()).results["hi"] == "Hi Ada"
        assert [change.what for change in (await run.history()).interventions] == [
            "pause hi; hi does not start",
            "resume; the run starts again",
        ]


async def test_values_skips_and_retries(client: GraphClient) -> None:
    tries: list[str] = []

    @agent("fragileAgent")
    async def fragile(inputs: dict[str, Any]) -> Any:
        """Fails once."""
        tries.append(inputs["text"])
        if len(tries) == 1:
            raise ValueError("not yet")
        return inputs["text"]

    document = letter(
        fragile={"agent": "fragileAgent", "inputs": {"text": ":greeting"}, "isResult": True},
        extra={"agent": "copyAgent", "inputs": {"x": ":who.text"}, "isResult": True},
        supplied={"agent": "copyAgent", "inputs": {"x": ":who.text"}, "isResult": True},
    )
    async with asking(client, "values", document, fragile) as run:
        await when(run, lambda status: bool(status.failures))
        await run.steer(Steering(retries=["fragile"]))
        await when(run, lambda status: not status.failures)
        await run.steer(Steering(skips=["extra"], values={"supplied": {"x": "set"}}))
        with pytest.raises(UsageError, match="shout: it has a result, and its source 'greeting' changes"):
            await run.steer(Steering(values={"greeting": "Ho"}))
        await run.steer(Steering(values={"greeting": "Ho"}, done="rerun"))
        await run.answer("who", "Ada")
        results = (await run.result()).results
        assert (results["hi"], results["supplied"], results["fragile"]) == ("Ho Ada", {"x": "set"}, "Ho")
        assert "extra" not in results
        assert tries == ["Hi", "Hi", "Ho"]
        assert (await states(run))["extra"] == "skipped"


async def test_a_changed_run_continues_as_new_with_its_graph_and_what_is_paused(client: GraphClient) -> None:
    document = letter()
    options = RunOptions(events=20)
    async with asking(client, "chain-worker", letter()) as other:
        queue = (await other.describe()).task_queue
        run = await client.start(document, id="steer-chain", queue=queue, options=options)
        await when(run, lambda status: bool(status.questions))
        await run.patch(BYE, who="anna")
        for _ in range(4):
            await run.steer(Steering(pauses=["hi"]), who="bob")
            await run.steer(Steering(resumes=["hi"]), who="bob")
        await when(run, lambda status: bool(status.questions))
        await run.answer("who", "Ada")
        assert (await run.result()).results["hi"] == "Bye Ada"
        model = await run.history()
        assert model.problem is None
        assert len(model.chain) > 1
        assert len(model.interventions) == 9
        await other.answer("who", "x")
        await other.result()


async def test_a_change_may_wait_until_nodes_have_ended(client: GraphClient) -> None:
    released = asyncio.Event()

    @agent("slowAgent")
    async def slow(params: dict[str, Any]) -> Any:
        """Takes as long as it is held."""
        await released.wait()
        return params["n"]

    def graph(n: int) -> dict[str, Any]:
        return letter(slow={"agent": "slowAgent", "params": {"n": n}, "inputs": {"g": ":greeting"}})

    async with asking(client, "wait", graph(1), slow) as run:

        async def is_held_up() -> bool:
            return "it is executing" in (await run.preview(Steering(graph=graph(2)))).refusal

        await until(is_held_up)
        waiting = asyncio.create_task(run.patch(graph(2), running="wait", done="rerun", who="anna"))
        await asyncio.sleep(0)
        assert not (await run.graph()).interventions
        released.set()
        actions = {node.place: node.action for node in (await waiting).nodes}
        assert actions["slow"] == "is executed again"
        await run.answer("who", "Ada")
        assert (await run.result()).all["slow"] == 2
        assert (await run.history()).problem is None
