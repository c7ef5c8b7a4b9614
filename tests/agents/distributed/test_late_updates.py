"""FedBuff as a graph: a site that is late trains on, and its update counts less in a later round."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from perdure.agents.agent import AgentContext, agent
from perdure.agents.catalog import load_agents
from perdure.agents.distributed import plugins
from perdure.agents.distributed.averaging import AverageParams, fed_average
from perdure.agents.distributed.training import TrainParams, fed_init, fed_train
from perdure.testing import run_in_memory_async

pytestmark = pytest.mark.anyio

MODEL = {"features": 2, "classes": 2}
TRAIN = TrainParams(data="late", send="delta")
BUFFER = AverageParams(rule="buffer")

GRAPH: dict[str, Any] = {
    "nodes": {
        "start": {"agent": "fedInitAgent", "params": MODEL},
        "rounds": {
            "agent": "nestedAgent",
            "inputs": {"weights": ":start.weights"},
            "output": {"digest": ".average.digest", "ages": ".average.ages", "who": ".average.accepted"},
            "isResult": True,
            "graph": {
                "loop": {"count": 2},
                "nodes": {
                    "weights": {"update": ":average.weights"},
                    "rule": {"value": {"quorum": 1, "grace": 0}, "update": ":next.rule"},
                    "updates": {
                        "agent": "mapAgent",
                        "inputs": {
                            "rows": [{"id": "quick"}, {"id": "slow"}],
                            "weights": ":weights",
                            "round": "@loop",
                            "params": ":rule",
                        },
                        "params": {"late": "carry", "compositeResultKey": "fit"},
                        "graph": {
                            "nodes": {
                                "fit": {
                                    "agent": "siteAgent",
                                    "inputs": {"weights": ":weights", "round": ":round", "site": ":row.id"},
                                    "isResult": True,
                                }
                            }
                        },
                    },
                    "average": {
                        "agent": "fedAverageAgent",
                        "inputs": {"updates": ":updates.rows", "weights": ":weights", "round": "@loop"},
                        "params": {"rule": "buffer"},
                        "isResult": True,
                    },
                    "next": {"agent": "copyAgent", "inputs": {"rule": {"quorum": 2}}},
                },
            },
        },
    }
}
"""The first round ends with its first site, the second with both."""


@plugins.dataset("late")
def late(site: int | str, context: AgentContext) -> tuple[Any, Any]:
    shift = {"quick": 1, "slow": -1}[str(site)]
    return np.array([[0, shift], [shift, 0], [2, 1]], np.float32), np.array([0, 1, 1])


def plain_loop() -> Any:
    context = AgentContext()
    first: Any = fed_init(MODEL)
    states = {0: first["weights"]}

    def update(site: str, number: int) -> Any:
        return fed_train({"weights": states[number], "round": number, "site": site}, TRAIN, context)

    def average(updates: list[Any], number: int) -> Any:
        inputs = {"updates": updates, "weights": states[number], "round": number}
        return fed_average(inputs, BUFFER, context)

    states[1] = average([update("quick", 0)], 0)["weights"]
    return average([update("quick", 1), update("slow", 0)], 1)


async def test_a_late_update_counts_by_its_age() -> None:
    second_round = asyncio.Event()

    @agent("siteAgent")
    async def site(inputs: dict[str, Any], context: AgentContext) -> Any:
        if inputs["round"] == 1:
            second_round.set()
        elif inputs["site"] == "slow":
            await second_round.wait()
        return fed_train(inputs, TRAIN, context)

    agents = {**load_agents("perdure.agents.distributed.agents"), "siteAgent": site.agent}  # type: ignore[attr-defined] -- functions carry attributes
    result = (await run_in_memory_async(GRAPH, agents)).results["rounds"]
    expected = plain_loop()
    assert result == {"digest": expected["digest"], "ages": [0, 1], "who": ["quick", "slow"]}
    assert expected["ages"] == [0, 1]
