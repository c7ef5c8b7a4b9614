"""Budgets: what calls may use up, by the profile, by a graph and by a node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.agent import agent
from perdure.agents.catalog import agents_by_name
from perdure.agents.label_facts import authority_of
from perdure.engine.messages import AgentCompleted, RunAgent
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore, snapshot
from perdure.errors import RunFailed
from perdure.policy.labels import ASKS_MODEL, AgentLabels
from perdure.policy.parse import policy_of
from perdure.settings import Settings
from perdure.settings.policy_file import PolicyFile
from perdure.testing import MemoryEnvironment, run_in_memory

TOKENS = 100
ANSWER = {
    "text": "hm",
    "model": "small",
    "usage": {"total_tokens": TOKENS, "prompt_tokens": 90, "completion_tokens": 10},
}
PRICES = "[small]\ninput = 10_000\noutput = 10_000\n"
"""One token for a cent: a call costs 1."""


def settings(folder: Path, budget: dict[str, Any] | None, **profile: Any) -> Settings:
    """A policy with this budget, and prices."""
    said = {"agents": ["*"], "dynamic": ["*"], "private": ["*"], **profile}
    data = {
        "policy": 1,
        "profile": "a",
        "profiles": {"a": said if budget is None else {**said, "budget": budget}},
    }
    path = folder / "policy.json"
    path.write_text(json.dumps(data))
    path.chmod(0o600)
    (folder / "prices.toml").write_text(PRICES)
    return Settings(home=folder, policy=path, prices=str(folder / "prices.toml"))


def played(graph: Any, own: Settings, ask: Any = None) -> tuple[int, str]:
    """How often the model was called, and the message that ended the run."""
    calls: list[int] = []

    @agent("model", labels=AgentLabels(effect=ASKS_MODEL))
    async def model() -> Any:
        calls.append(1)
        return ANSWER

    environment = MemoryEnvironment(settings=own, console=lambda _: None, ask=ask)
    try:
        run_in_memory(graph, [model], environment=environment)
    except RunFailed as error:
        return len(calls), str(error).partition("\n")[0]
    return len(calls), ""


ASK: dict[str, Any] = {"agent": "model", "params": {"max_tokens": 10}, "inputs": {"prompt": "?" * 356}}
"""A call that reserves as many tokens as it uses: 90 and 10."""

INNER = {"nodes": {"ask": ASK}}
ROWS = {"agent": "mapAgent", "inputs": {"rows": [*range(50)]}, "graph": INNER}
NESTED = {"agent": "nestedAgent", "graph": {"nodes": {"rows": ROWS}}}
TOOLS = {
    "nodes": {
        "plan": {"value": INNER},
        "in": {"agent": "nestedAgent", "graph": ":plan", "allow": {"agents": ["*"]}},
    }
}
LOOP = {"loop": {"count": 50}, "nodes": {"ask": ASK}}
CHAIN: dict[str, Any] = {
    "nodes": {
        f"n{n}": {**ASK, "inputs": {**ASK["inputs"], "x": f":n{n - 1}"} if n else ASK["inputs"]}
        for n in range(9)
    }
}
RUNAWAY: dict[str, Any] = {
    "a loop": LOOP,
    "rows at once": {"nodes": {"rows": {**ROWS}}},
    "rows inside": {"nodes": {"in": NESTED}},
    "many nodes": {"nodes": {f"n{n}": ASK for n in range(50)}},
    "a chain": CHAIN,
    "rows, all of which may fail": {"nodes": {"rows": {**ROWS, "params": {"throwError": False}}}},
}  # fmt: skip


@pytest.mark.parametrize("name", RUNAWAY)
@pytest.mark.parametrize("budget", [{"calls": 5}, {"tokens": 5 * TOKENS + 5}, {"money": 5.1}], ids=str)
def test_what_runs_away_is_stopped(tmp_path: Path, name: str, budget: dict[str, Any]) -> None:
    calls, ending = played(RUNAWAY[name], settings(tmp_path, budget))
    assert calls <= 5
    assert calls >= 3
    if "throwError" not in str(RUNAWAY[name]):
        assert "not granted: more than the budget of the run: " in ending


def test_budgets_narrow_downwards_and_draw_on_those_around(tmp_path: Path) -> None:
    inner = {"loop": {"count": 9}, "nodes": {"ask": ASK}}
    limited = {"agent": "nestedAgent", "graph": inner, "allow": {"budget": {"calls": 2}}}
    assert played({"nodes": {"in": limited}}, settings(tmp_path, {"calls": 5})) == (
        2,
        "in.ask@2: not granted: more than the budget of in: 2 of 2 calls are made",
    )
    wide = {**limited, "allow": {"budget": {"calls": 9}}}
    assert played({"nodes": {"in": wide}}, settings(tmp_path, {"calls": 5}))[0] == 5
    needs = {"metadata": {"needs": {"budget": {"calls": 3}}}, **LOOP}
    assert played(needs, settings(tmp_path, None)) == (
        3,
        "ask@3: not granted: more than the budget of metadata.needs: 3 of 3 calls are made",
    )


def test_a_node_has_a_budget_for_its_attempts_and_pure_agents_have_no_tokens(tmp_path: Path) -> None:
    graph = {"nodes": {"ask": {**ASK, "allow": {"budget": {"tokens": 50}}}}}
    assert played(graph, settings(tmp_path, None))[0] == 0
    pure = {"nodes": {"a": {"agent": "copyAgent", "inputs": {"x": 1}}}}
    assert played(pure, settings(tmp_path, {"tokens": 0, "money": 0})) == (0, "")
    assert "0 of 0 calls are made" in played(pure, settings(tmp_path, {"calls": 0}))[1]


def test_what_a_model_reserves(tmp_path: Path) -> None:
    """A quarter of the bytes of its inputs, and 1,000 for an answer whose length it does not say."""
    graph = {"nodes": {"ask": {"agent": "model", "inputs": {"prompt": "?" * 3_988}}}}
    calls, ending = played(graph, settings(tmp_path, {"tokens": 2_000}))
    assert (calls, ending.rpartition(": ")[2]) == (0, "0 of 2000 tokens are used, and 2017 would be reserved")


def test_money_needs_prices(tmp_path: Path) -> None:
    own = settings(tmp_path, {"money": 100})
    (tmp_path / "prices.toml").write_text("")
    assert played({"nodes": {"ask": ASK}}, own) == (
        0,
        "ask: not granted: a model whose price is not known, with a budget of money",
    )


def test_bytes_of_results(tmp_path: Path) -> None:
    @agent("large")
    def large() -> Any:
        return "x" * 1_000

    graph = {"loop": {"count": 9}, "nodes": {"large": {"agent": "large"}}}
    environment = MemoryEnvironment(settings=settings(tmp_path, {"bytes": "2KB"}), console=lambda _: None)
    with pytest.raises(RunFailed, match=r"large@2: .* bytes of results are there"):
        run_in_memory(graph, [large], environment=environment)


def test_a_person_may_approve_more(tmp_path: Path) -> None:
    async def approve(prompt: Any) -> str:
        assert "more than the budget of the run" in prompt.message
        return "approve"

    assert played(LOOP, settings(tmp_path, {"calls": 48}, violation="ask"), approve) == (50, "")


def test_ledgers_are_in_snapshots(tmp_path: Path) -> None:
    own = settings(tmp_path, {"tokens": 345})

    @agent("model", labels=AgentLabels(effect=ASKS_MODEL))
    def model() -> Any:
        return ANSWER

    authority = authority_of(agents_by_name([model]), own, PolicyFile(own.policy).current())
    rules: dict[str, Any] = {"agents": {"model"}, "authority": authority}
    scheduler = Scheduler({"concurrency": 2, **RUNAWAY["many nodes"]}, **rules)
    calls = [command for command in scheduler.start(0) if isinstance(command, RunAgent)]
    scheduler.handle(AgentCompleted(calls[0].call, ANSWER), 0)
    again, commands = restore(snapshot(scheduler), **rules)
    assert len(commands) == 2  # with the one that is over, all that the budget allows
    later = again.handle(AgentCompleted(calls[1].call, ANSWER), 0)
    assert [command for command in later if isinstance(command, RunAgent)] == []


@pytest.mark.parametrize(
    "budget",
    [{"call": 1}, {"calls": -1}, {"calls": "many"}, {"bytes": "5 MB"}, {"tokens": True}, []],
    ids=str,
)
def test_mistakes(budget: Any) -> None:
    read, problems = policy_of({"policy": 1, "profile": "a", "profiles": {"a": {"budget": budget}}})
    assert read is None
    assert problems[0].place.startswith("profiles.a.budget")


def test_a_profile_inherits_a_budget() -> None:
    profiles = {"a": {"budget": {"calls": 1}}, "b": {"from": "a"}, "c": {"from": "a", "budget": {"calls": 2}}}
    read, _ = policy_of({"policy": 1, "profile": "b", "profiles": profiles})
    assert read is not None
    assert {name: budget.text() for name, budget in read.budgets.items()} == {
        "a": "calls 1",
        "b": "calls 1",
        "c": "calls 2",
    }
