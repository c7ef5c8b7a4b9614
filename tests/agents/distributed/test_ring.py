"""Ring all-reduce as a graph: the sum, the same bits on all ranks, and the least bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perdure.agents.catalog import catalog, load_agents
from perdure.agents.distributed.reducing import ring_step
from perdure.errors import FinalError
from perdure.testing import memory_shell

GRAPH = {
    "loop": {"while": ":one.more"},
    "nodes": {
        "ranks": {"value": [], "update": ":step", "isResult": True},
        "step": {
            "agent": "mapAgent",
            "inputs": {"rows": ":ranks", "all": ":ranks", "step": "@loop"},
            "params": {"compositeResultKey": "next"},
            "graph": {
                "nodes": {
                    "next": {
                        "agent": "ringStepAgent",
                        "inputs": {"row": ":row", "all": ":all", "step": ":step"},
                        "isResult": True,
                    }
                }
            },
        },
        "one": {"agent": "copyAgent", "inputs": {"more": ":step.$0.more"}},
    },
}


@pytest.mark.anyio
@pytest.mark.parametrize("ranks", [2, 3, 4])
async def test_each_rank_sends_the_least_and_has_the_sum(ranks: int) -> None:
    source = np.random.default_rng(ranks)
    values = [source.normal(size=(ranks, 12)) for _ in range(ranks)]
    rows = [{"id": f"rank-{rank}", "value": value} for rank, value in enumerate(values)]
    agents: Any = {**catalog(), **load_agents("perdure.agents.distributed.agents")}
    result = await memory_shell(GRAPH, agents, {"ranks": rows}).run()
    ended: Any = result.results["ranks"]
    size = values[0].nbytes
    assert [row["bytes"] for row in ended] == [2 * (ranks - 1) * size // ranks] * ranks
    assert {row["value"].tobytes() for row in ended} == {ended[0]["value"].tobytes()}
    np.testing.assert_allclose(ended[0]["value"], sum(values), rtol=1e-12)


@pytest.mark.parametrize(
    "inputs",
    [
        {"row": {"id": 0, "value": [1]}, "all": [{"id": 0, "value": [1]}]},
        {"row": {"id": 9, "value": [1]}, "all": [{"id": 0, "value": [1]}, {"id": 1, "value": [1]}]},
        {"row": {"id": 0, "value": "x"}, "all": [{"id": 0, "value": "x"}, {"id": 1, "value": [1]}]},
    ],
)
def test_refused(inputs: Any) -> None:
    with pytest.raises(FinalError, match="ringStepAgent: inputs"):
        ring_step(inputs)
