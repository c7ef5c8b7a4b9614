"""What holds for every graph, whatever the order of answers."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from perdure.engine.messages import AgentCompleted, Finish, RunAgent
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore, snapshot
from perdure.protocol.encoding import decode, encode
from tests.property.simulation import AGENTS, Simulation, outcome
from tests.support.graphs import is_calm, is_order_free, make_graph, parts

SEEDS = 10_000
PARTS = 10


def seeds(part: int, share: int = 1) -> range:
    """Every PARTS-th seed, of the first one in `share`."""
    return range(part, SEEDS // share, PARTS)


def played(seed: int, order: int = 0, fires: bool = False) -> Simulation:
    simulation = Simulation(make_graph(Random(seed)), Random(order), salt=seed, fires=fires)
    simulation.play()
    return simulation


@pytest.mark.parametrize("part", parts(PARTS))
def test_any_order_of_answers_gives_the_same_outcome(part: int) -> None:
    """The same results; with anyInput, whose inputs are those that came first, the same nodes run."""
    whole = states_only = 0
    for seed in seeds(part):
        graph = make_graph(Random(seed))
        if not is_calm(graph):
            continue
        first, second = outcome(played(seed, order=1)), outcome(played(seed, order=2))
        if is_order_free(graph):
            assert second == first, f"seed {seed}"
            whole += 1
        else:
            assert second[-1] == first[-1], f"seed {seed}"
            states_only += 1
    assert whole > len(seeds(part)) / 5
    assert states_only > len(seeds(part)) / 20


@pytest.mark.parametrize("part", parts(PARTS))
def test_the_same_events_give_the_same_commands(part: int) -> None:
    for seed in seeds(part, share=4):
        first = played(seed, fires=True)
        again = Scheduler(make_graph(Random(seed)), agents=AGENTS)
        sent = [again.start(0), *(again.handle(event, now) for event, now in first.events)]
        assert sent == first.sent, f"seed {seed}"


@pytest.mark.parametrize("part", parts(PARTS))
def test_an_abort_ends_a_run_at_any_moment(part: int) -> None:
    for seed in seeds(part, share=4):
        steps = len(played(seed, fires=True).events)
        simulation = Simulation(make_graph(Random(seed)), Random(0), salt=seed, fires=True)
        finish = simulation.play(abort_after=seed % (steps + 1))
        assert finish.aborted or len(simulation.events) == steps, f"seed {seed}"
        assert (
            not any(isinstance(command, RunAgent) for command in simulation.open.values())
            or not finish.aborted
        )


@pytest.mark.parametrize("part", parts(PARTS))
def test_a_run_goes_on_from_a_snapshot_as_if_nothing_had_been(part: int) -> None:
    for seed in seeds(part, share=40):
        first = played(seed, fires=True)
        scheduler: Scheduler = Scheduler(make_graph(Random(seed)), agents=AGENTS)
        sent = [scheduler.start(0)]
        for event, now in first.events:
            scheduler = _moved(scheduler)
            sent.append(scheduler.handle(event, now))
        assert sent == first.sent, f"seed {seed}"
        root = scheduler.root
        assert outcome(first)[-1] == {name: str(node.state) for name, node in root.nodes.items()}


def _moved(scheduler: Scheduler) -> Scheduler:
    """The scheduler written to JSON, read again elsewhere, and written once more to compare."""
    data = snapshot(scheduler)
    text, places = encode(data)
    moved, again = restore(decode(text, json.loads(json.dumps(places))), agents=AGENTS)
    assert [command.call for command in again] == list(scheduler.board.calls)
    assert moved.board.calls == scheduler.board.calls
    assert moved.board.slots.tickets() == _renumbered(scheduler)
    assert moved.board.slots.running == scheduler.board.slots.running
    assert moved.board.slots.concurrency == scheduler.board.slots.concurrency
    assert snapshot(moved) == data
    return moved


def _renumbered(scheduler: Scheduler) -> list[Any]:
    tickets = enumerate(scheduler.board.slots.tickets(), start=1)
    return [ticket._replace(number=number) for number, ticket in tickets]


def test_a_snapshot_holds_each_document_once_and_copies_no_value() -> None:
    big = {"text": "x" * 1000}
    inner = {"nodes": {"n": {"agent": "work", "inputs": {"r": ":row", "big": ":big"}, "isResult": True}}}
    graph = {
        "nodes": {
            "big": {"value": big},
            "m": {"agent": "mapAgent", "inputs": {"rows": [1, 2, 3], "big": ":big"}, "graph": inner},
        }
    }
    scheduler = Scheduler(graph, agents=AGENTS)
    commands = scheduler.start(0)
    data = snapshot(scheduler)
    assert data["documents"][0] is graph
    assert [run["document"] for run in data["runs"]] == [0, 1, 1, 1]
    assert [call["inputs"]["big"] is big for call in data["calls"]] == [True] * len(commands)


def play_at_once(graph: dict[str, Any]) -> Finish:
    scheduler = Scheduler(graph, agents=AGENTS)
    commands = scheduler.start(0)
    for command in commands:
        if isinstance(command, RunAgent):
            commands += scheduler.handle(AgentCompleted(command.call, {}), 0)
    assert isinstance(commands[-1], Finish)
    return commands[-1]


MANY = 5_000


def test_a_long_chain_of_skipped_nodes_with_defaults_needs_no_stack() -> None:
    nodes: dict[str, Any] = {"no": {"value": 0}, "n0": {"agent": "work"}}
    for index in range(1, MANY):
        inputs = {"x": f":n{index - 1}"}
        nodes[f"n{index}"] = {"agent": "work", "if": ":no", "defaultValue": "d", "inputs": inputs}
    finish = play_at_once({"nodes": nodes})
    assert list(finish.all.values()) == [0, {}, *["d"] * (MANY - 1)]


@pytest.mark.parametrize("concurrency", [1, 8, MANY])
def test_many_nodes_that_fail_at_their_inputs_need_no_stack(concurrency: int) -> None:
    nodes: dict[str, Any] = {"text": {"value": "no json"}, "a": {"agent": "work"}}
    nodes |= {
        f"n{index}": {"agent": "work", "inputs": {"x": ":text.jsonParse()", "a": ":a"}}
        for index in range(MANY)
    }
    finish = play_at_once({"concurrency": concurrency, "nodes": nodes})
    assert len(finish.errors) == MANY


def test_graphs_nest_fifty_deep() -> None:
    graph: dict[str, Any] = {"nodes": {"n": {"agent": "work", "isResult": True}}}
    for _ in range(50):
        graph = {"nodes": {"n": {"agent": "nestedAgent", "graph": graph, "isResult": True}}}
    simulation = Simulation(graph, Random(0), salt=1)
    assert simulation.play().failure is None
