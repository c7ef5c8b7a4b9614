"""Samples of hosts: the same for the same round and seed."""

from typing import Any

import pytest

from perdure.agents.catalog import load_agents
from perdure.errors import RunFailed
from perdure.testing import run_in_memory

AGENTS = load_agents("perdure.agents.distributed.agents")
HOSTS = [{"id": f"s{number}", "labels": ["site"] if number < 8 else []} for number in range(10)]


def members(round: int = 0, **params: Any) -> Any:
    node = {"agent": "membersAgent", "inputs": {"round": round}, "params": params, "isResult": True}
    return run_in_memory({"nodes": {"m": node}}, agents=AGENTS).results["m"]


def test_a_sample_is_that_of_its_round_whoever_else_is_there() -> None:
    drawn = [
        [row["id"] for row in members(n, fraction=0.3, seed=7, members=HOSTS)["rows"]] for n in (3, 3, 4)
    ]
    assert drawn == [["s0", "s3", "s7"], ["s0", "s3", "s7"], drawn[2]]
    assert drawn[2] != drawn[0]
    fewer = [each for each in HOSTS if each["id"] in (*drawn[0], "s1")]
    assert [row["id"] for row in members(3, fraction=0.75, seed=7, members=fewer)["rows"]] == drawn[0]


def test_a_label_and_a_minimum() -> None:
    assert members(label="site", members=HOSTS)["of"] == 8
    assert len(members(label="site", fraction=0.1, atLeast=4, members=HOSTS)["rows"]) == 4


def test_who_is_there_must_be_said_in_memory() -> None:
    with pytest.raises(RunFailed, match="a run in memory has no hosts"):
        members()
