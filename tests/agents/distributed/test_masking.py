"""Secure aggregation as agents: the sum of the sites that are left, and nothing else."""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perdure.agents.agent import AgentContext
from perdure.agents.catalog import load_agents
from perdure.agents.distributed import plugins
from perdure.errors import FinalError
from perdure.settings import Settings

AGENTS = load_agents("perdure.agents.distributed.agents")
SITES = ["a", "b", "c", "d", "e"]
WEIGHTS = {"b": np.zeros(2, np.float32), "w": np.zeros((3, 2), np.float32)}
TRAIN = {"data": "masked samples", "lr": 0.5}


@pytest.fixture(autouse=True)
def worker() -> None:
    def samples(site: int | str, context: AgentContext) -> Any:
        x = np.random.default_rng(ord(str(site))).standard_normal((20 + ord(str(site)) % 7, 3))
        return x.astype(np.float32), (x[:, 0] > 0).astype(np.int64)

    plugins.dataset("masked samples")(samples)
    plugins.site_secret(lambda site: str(site).encode() * 32)


@pytest.fixture
def context(tmp_path: Path) -> AgentContext:
    return AgentContext(run="run-7", settings=Settings(home=tmp_path))


def call(context: AgentContext, name: str, inputs: Any, params: Any = None) -> Any:
    return AGENTS[name].call({"round": 1, **inputs}, params or {}, context)


def dealt(context: AgentContext) -> dict[str, Any]:
    keys = [call(context, "maskKeyAgent", {"site": site}) for site in SITES]
    return {
        "keys": keys,
        "dealt": [call(context, "maskDealAgent", {"site": site, "keys": keys}) for site in SITES],
    }


def trained(context: AgentContext, keys: Any, sites: Collection[str]) -> list[Any]:
    return [
        call(context, "maskedTrainAgent", {"site": site, "keys": keys, "weights": WEIGHTS}, TRAIN)
        for site in sites
    ]


def summed(context: AgentContext, before: Any, left: Collection[str], revealing: Collection[str]) -> Any:
    updates = trained(context, before["keys"], left)
    revealed = [
        call(context, "maskRevealAgent", {"site": site, "left": updates, **before}) for site in revealing
    ]
    inputs = {"updates": updates, "revealed": revealed, "keys": before["keys"], "weights": WEIGHTS}
    return call(context, "maskSumAgent", inputs)


LEFT = [left for count in (4, 5) for left in combinations(SITES, count)]


@pytest.mark.parametrize("left", LEFT, ids="".join)
def test_the_sum_is_that_of_the_sites_that_are_left(left: tuple[str, ...], context: AgentContext) -> None:
    result = summed(context, dealt(context), left, left)
    plain = [
        call(context, "fedTrainAgent", {"site": site, "weights": WEIGHTS}, {**TRAIN, "send": "delta"})
        for site in left
    ]
    expected = call(context, "fedAverageAgent", {"updates": plain, "weights": WEIGHTS})
    for name, array in expected["weights"].items():
        assert np.abs(result["weights"][name] - array).max() < 1e-5
    assert (result["n"], result["accepted"]) == (expected["n"], [*left])
    assert result["missing"] == [site for site in SITES if site not in left]


def test_sites_may_drop_out_before_they_reveal(context: AgentContext) -> None:
    before = dealt(context)
    whole = summed(context, before, SITES, SITES)
    assert summed(context, before, SITES, SITES[:4])["digest"] == whole["digest"]
    with pytest.raises(FinalError, match="3 shares are too few: 4 are needed"):
        summed(context, before, SITES, SITES[:3])


def test_too_few_sites_show_nothing(context: AgentContext) -> None:
    with pytest.raises(FinalError, match="3 sites are left, and 4 of 5 are needed"):
        summed(context, dealt(context), SITES[:3], SITES[:3])


def test_a_site_answers_once_in_a_round(context: AgentContext) -> None:
    before = dealt(context)
    inputs = {"site": "a", **before}
    first = call(context, "maskRevealAgent", {**inputs, "left": [{"site": site} for site in SITES]})
    again = call(context, "maskRevealAgent", {**inputs, "left": [{"site": site} for site in SITES[::-1]]})
    assert first == again
    with pytest.raises(FinalError, match="'a' has answered for other sites in this round"):
        call(context, "maskRevealAgent", {**inputs, "left": [{"site": site} for site in SITES[:4]]})


def test_shares_that_were_changed_are_refused(context: AgentContext) -> None:
    before = dealt(context)
    row = before["dealt"][1]
    row["sealed"] = {**row["sealed"], "a": row["sealed"]["b"]}
    inputs = {"site": "a", **before, "left": [{"site": site} for site in SITES]}
    with pytest.raises(FinalError, match="shares were changed on their way"):
        call(context, "maskRevealAgent", inputs)


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        ("maskDealAgent", {"site": "a", "keys": [{"site": "b", "key": ""}]}, "expected those of two sites"),
        ("maskDealAgent", {"site": "a", "keys": [{"site": "a", "key": "?"}]}, "expected base64"),
        (
            "maskSumAgent",
            {
                "updates": [{"site": "a"}],
                "revealed": [{"site": "a"}],
                "keys": [{"site": "a", "key": ""}, {"site": "b", "key": ""}],
                "weights": WEIGHTS,
            },
            "expected results of maskedTrainAgent",
        ),
    ],
)
def test_what_makes_no_sense(name: str, inputs: Any, message: str, context: AgentContext) -> None:
    with pytest.raises(FinalError, match=message):
        call(context, name, inputs)
