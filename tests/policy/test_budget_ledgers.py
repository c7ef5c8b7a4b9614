"""What calls count in budgets: by their answers, of a hedged pair, and once a budget is changed."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from perdure.engine.granting.authority import Authority
from perdure.engine.granting.prices import Prices
from perdure.engine.messages import AgentCompleted, Command, RunAgent, StartTimer, TimerFired
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore, snapshot
from perdure.engine.steering.request import Steering
from perdure.policy.budgets import Budget
from perdure.policy.ledger import Ledger
from perdure.protocol.authorities import narrowed_profile

MODEL = "openAIAgent"
PRICES = Prices({"small": {"input": 10_000, "output": 10_000}})
ASK: dict[str, Any] = {
    "agent": MODEL,
    "params": {"max_tokens": 10, "model": "small"},
    "inputs": {"prompt": "?" * 280},
}
"""Reserves 100 tokens, which cost 1."""

RULES: dict[str, Any] = {
    "agents": frozenset({MODEL, "copyAgent", "fetchAgent", "humanInputAgent"}),
    "authority": Authority(counts=True, pure=frozenset({"copyAgent"}), prices=PRICES),
}


def limited(**budget: float) -> dict[str, Any]:
    return {"metadata": {"needs": {"budget": budget}}}


def calls(commands: list[Command]) -> list[RunAgent]:
    return [command for command in commands if isinstance(command, RunAgent)]


def ledger(scheduler: Scheduler, key: str = "@needs") -> Ledger:
    return scheduler.root.budgets[key]


def used_by(agent: str, result: Any, **params: Any) -> tuple[float, float]:
    """Tokens and money that are used once a call has this result."""
    node = {**ASK, "agent": agent, "params": {**ASK["params"], **params}}
    scheduler = Scheduler({**limited(tokens=1e15), "nodes": {"a": node}}, **RULES)
    (call,) = calls(scheduler.start(0))
    scheduler.handle(AgentCompleted(call.call, result), 0)
    return ledger(scheduler).tokens, ledger(scheduler).money


@pytest.mark.parametrize("count", [-1_000, 1_000, -inf, 10**400], ids=["refund", "count", "infinite", "huge"])
@pytest.mark.parametrize("agent", ["copyAgent", "fetchAgent"])
def test_the_result_of_another_agent_counts_no_tokens(agent: str, count: float) -> None:
    assert used_by(agent, {"model": "small", "usage": {"total_tokens": count, "input_tokens": count}}) == (
        0,
        0,
    )


@pytest.mark.parametrize(
    ("usage", "used"),
    [
        ({"prompt_tokens": 150, "completion_tokens": 50}, (200, 2)),
        ({"prompt_tokens": 150, "completion_tokens": -50}, (150, 1.5)),
        ({"total_tokens": -1_000, "prompt_tokens": -1_000}, (100, 1)),
        ({"total_tokens": nan}, (100, 1)),
        ({"total_tokens": True}, (100, 1)),
        ({"total_tokens": inf}, (10**12, 0)),
        ({"total_tokens": 10**400}, (10**12, 0)),
        (None, (100, 1)),
    ],
    ids=["sides", "refund of a side", "refund", "nan", "boolean", "infinite", "huge", "none"],
)
def test_an_answer_of_a_model_gives_nothing_back(usage: Any, used: tuple[float, float]) -> None:
    assert used_by(MODEL, {"text": "hm", "usage": usage}) == used


@pytest.mark.parametrize("result", [{"text": "hm"}, "hm", None, [1]], ids=str)
def test_an_answer_that_does_not_say_counts_its_reserve(result: Any) -> None:
    assert used_by(MODEL, result) == (100, 1)


@pytest.mark.parametrize(
    ("most", "used"),
    [(-1_000, 1_090), (nan, 1_090), (inf, 10**12 + 90), (10**400, 10**12 + 90)],
    ids=["refund", "nan", "infinite", "huge"],
)
def test_the_length_of_an_answer_reserves_a_count(most: float, used: float) -> None:
    node = {**ASK, "params": {"max_tokens": most}}
    scheduler = Scheduler({**limited(tokens=1e15), "nodes": {"a": node}}, **RULES)
    (call,) = calls(scheduler.start(0))
    scheduler.handle(AgentCompleted(call.call, "hm"), 0)
    assert ledger(scheduler).tokens == used


HEDGED = {**ASK, "hedge": {"after": 1}}


def hedged(**budget: float) -> tuple[Scheduler, list[RunAgent], list[RunAgent]]:
    """A run whose call takes long: its first call, and what is sent then."""
    scheduler = Scheduler({**limited(**budget), "nodes": {"a": HEDGED}}, **RULES)
    commands = scheduler.start(0)
    timer = next(command for command in commands if isinstance(command, StartTimer))
    return scheduler, calls(commands), calls(scheduler.handle(TimerFired(timer.call), 1))


@pytest.mark.parametrize("budget", [{"calls": 1}, {"tokens": 199}, {"money": 1.9}], ids=str)
def test_a_second_call_is_not_made_beyond_a_budget(budget: dict[str, float]) -> None:
    scheduler, (first,), second = hedged(**budget)
    assert second == []
    scheduler.handle(AgentCompleted(first.call, {"usage": {"total_tokens": 40}}), 2)
    assert scheduler.root.result("a") == {"usage": {"total_tokens": 40}}


@pytest.mark.parametrize("winner", [0, 1])
@pytest.mark.parametrize("restored", [False, True])
def test_both_calls_count_and_the_other_one_its_reserve(winner: int, restored: bool) -> None:
    scheduler, first, second = hedged(calls=2, tokens=200)
    if restored:
        scheduler, _ = restore(snapshot(scheduler), **RULES)
    answer = {"usage": {"total_tokens": 40}}
    scheduler.handle(AgentCompleted((first + second)[winner].call, answer), 2)
    assert (ledger(scheduler).calls, ledger(scheduler).tokens) == (2, 140)


def test_a_call_that_people_have_approved_is_made_once() -> None:
    scheduler = Scheduler({"nodes": {"a": HEDGED}}, **RULES)
    commands = scheduler.start(0)
    timer = next(command for command in commands if isinstance(command, StartTimer))
    scheduler.root.is_guarded, scheduler.root.nodes["a"].approved = True, ["digest", "anna"]
    assert calls(scheduler.handle(TimerFired(timer.call), 1)) == []


ROUNDS = {"loop": {"count": 9}, "nodes": {"a": ASK}}


def patched(document: dict[str, Any], later: dict[str, Any]) -> tuple[Scheduler, Scheduler, RunAgent]:
    """A run of which a call is on its way when it is changed, its copy, and that call."""
    scheduler = Scheduler(document, **RULES)
    (call,) = calls(scheduler.start(0))
    (call,) = calls(scheduler.handle(AgentCompleted(call.call, {"usage": {"total_tokens": 100}}), 0))
    scheduler.steer(scheduler.survey(Steering(graph=later, running="keep")), 0)
    copy, _ = restore(snapshot(scheduler), **RULES)
    return scheduler, copy, call


def ending(scheduler: Scheduler, call: RunAgent) -> list[Any]:
    """Answers all calls; what was called, and the error of the run."""
    made: list[Any] = []
    waiting = [call]
    while waiting:
        call = waiting.pop()
        made.append((call.call, call.path))
        waiting = calls(scheduler.handle(AgentCompleted(call.call, {"usage": {"total_tokens": 100}}), 0))
    return [*made, scheduler.root.errors()]


def on_node(**budget: float) -> dict[str, Any]:
    return {**ROUNDS, "nodes": {"a": {**ASK, "allow": {"budget": budget}}}}


@pytest.mark.parametrize(
    ("before", "after", "count"),
    [
        ({**limited(tokens=900), **ROUNDS}, {**limited(tokens=300), **ROUNDS}, 2),
        ({**limited(tokens=300), **ROUNDS}, {**limited(tokens=500), **ROUNDS}, 4),
        ({**limited(calls=3), **ROUNDS}, ROUNDS, 8),
        (ROUNDS, {**limited(tokens=299), **ROUNDS}, 2),
        (on_node(calls=3), on_node(calls=5), 4),
        (on_node(calls=5), on_node(calls=3), 2),
        (on_node(calls=3), ROUNDS, 8),
    ],
    ids=["narrower", "wider", "gone", "new", "wider of a node", "narrower of a node", "gone of a node"],
)
def test_a_changed_budget_holds_in_the_run_and_in_its_copy(before: Any, after: Any, count: int) -> None:
    scheduler, copy, call = patched(before, after)
    made = ending(scheduler, call)
    assert made == ending(copy, call)
    assert len(made) - 1 == count


def test_what_a_node_has_used_is_kept_when_it_is_gone() -> None:
    other = {"nodes": {"a": {**ASK, "allow": {"budget": {"calls": 3}}}, "b": {**ASK, "inputs": {"x": ":a"}}}}
    scheduler = Scheduler(other, **RULES)
    scheduler.start(0)
    scheduler.steer(scheduler.survey(Steering(graph={"nodes": {"b": ASK}}, running="cancel", now=True)), 0)
    copy, _ = restore(snapshot(scheduler), **RULES)
    assert ledger(copy, ".a").calls == ledger(scheduler, ".a").calls == 1


def test_a_run_that_continues_takes_over_no_budget() -> None:
    now = {"name": "a", "grant": {}, "digest": "", "budget": {"calls": 1}}
    assert "budget" not in (narrowed_profile(now, {"granted": {}}) or {})
    kept = narrowed_profile(now, {"granted": {}, "budget": {"calls": 2}})
    assert kept is not None
    assert Budget.read(kept["budget"]) == Budget(calls=2)
