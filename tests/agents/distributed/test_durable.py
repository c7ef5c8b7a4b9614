"""A durable run learns what a plain loop learns, bit for bit, also if its workers are replaced halfway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bench.federated_graph import rounds
from perdure.agents.agent import AgentContext
from perdure.agents.catalog import catalog, load_agents
from perdure.agents.distributed import plugins
from perdure.agents.distributed.maths.tensors import Tensors, digest
from perdure.client import GraphClient
from perdure.testing import run_in_memory, run_in_memory_async
from perdure.worker import WorkerOptions, build_worker
from tests.agents.distributed.training import Training
from tests.support import digits
from tests.support.durable import embedded
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

AGENTS = {**catalog(), **load_agents("perdure.agents.distributed.agents")}
ROUNDS = 4
CALLS: list[int] = []


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GraphClient]:
    async with embedded(tmp_path_factory.mktemp("learning")) as client:
        yield client


@plugins.dataset("durable digits")
def shard(site: int | str, context: AgentContext) -> digits.Samples:
    CALLS.append(int(site))
    return digits.by_label()[int(site)]


@plugins.dataset("durable held out")
def judged(site: int | str, context: AgentContext) -> digits.Samples:
    return digits.held_out()


def graph(fit_params: dict[str, Any] | None = None, **params: Any) -> Any:
    score = {
        "agent": "fedEvaluateAgent",
        "inputs": {"weights": ":average.weights", "round": "@loop"},
        "params": {"data": "durable held out", "rounds": ROUNDS},
        "isResult": True,
    }
    return rounds(
        [*range(10)],
        {"while": ":score.more"},
        fit={"params": {"data": "durable digits", **(fit_params or {})}},
        average={"params": params, "inputs": {"server": ":server"}},
        more={"server": {"value": {}, "update": ":average.server"}, "score": score},
        output={"digest": ".score.digest"},
    )


def expected(**how: Any) -> str:
    """The digest of what one process makes in a loop."""
    weights: Tensors = Training(**how).rounds(ROUNDS)[-1]
    return digest({name: weights[name] for name in sorted(weights)})


def test_in_memory() -> None:
    assert run_in_memory(graph(), agents=AGENTS).results == {"rounds": {"digest": expected()}}


async def test_workers_are_replaced_halfway(client: GraphClient) -> None:
    CALLS.clear()
    options = WorkerOptions(agents=AGENTS, settings=client.settings)
    async with build_worker(client.temporal, "learning", options):
        run = await client.start(graph(), queue="learning")
        await until(lambda: len(CALLS) >= 15)
    halfway = len(CALLS)
    async with build_worker(client.temporal, "learning", options):
        result = await run.result()
    assert result.results == {"rounds": {"digest": expected()}}
    assert 15 <= halfway < 10 * ROUNDS <= len(CALLS)


async def test_the_state_of_an_optimizer_travels_with_the_run(client: GraphClient) -> None:
    """Through a store too, where each array is an object of its own kind."""
    params = {"optimizer": "adam", "eta": 0.03}
    in_memory = (await run_in_memory_async(graph(**params), agents=AGENTS)).results
    settings = replace(client.settings, store_above=1000)
    options = WorkerOptions(agents=AGENTS, settings=settings)
    async with build_worker(client.temporal, "storing", options):
        run = await client.start(graph(**params), queue="storing")
        assert (await run.result()).results == in_memory


SMALLER = {"compress": "topk", "share": 0.1}


def test_what_compression_leaves_out_is_sent_later() -> None:
    result = run_in_memory(graph(SMALLER, compress="topk"), agents=AGENTS)
    assert result.results == {"rounds": {"digest": expected(method="topk")}}


async def test_what_compression_leaves_out_survives_its_worker(client: GraphClient) -> None:
    """The residuals are on the disk of the site, and a call that is repeated sends the same."""
    CALLS.clear()
    options = WorkerOptions(agents=AGENTS, settings=client.settings)
    async with build_worker(client.temporal, "smaller", options):
        run = await client.start(graph(SMALLER, compress="topk"), queue="smaller")
        await until(lambda: len(CALLS) >= 15)
    async with build_worker(client.temporal, "smaller", options):
        result = await run.result()
    assert result.results == {"rounds": {"digest": expected(method="topk")}}
    kept = [*(client.settings.home / "residuals").glob("*/*")]
    assert sorted({file.name for file in kept}) == [f"{ROUNDS - 2}.npz", f"{ROUNDS - 1}.npz"]
    assert len(kept) == 20
