"""What a change of a running graph comes to, over random graphs.

The long form: python -m tests.lineage.patches --count 10000
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from perdure.engine.fuel import MIN_OPEN_GRAPH_COUNT
from perdure.engine.maps.version_gates import Gates
from perdure.engine.messages import AgentCompleted, Command, Event, RunAgent
from perdure.engine.steering.request import Steering
from perdure.engine.steering.survey import survey
from tests.lineage.patches import Player, check_all


@pytest.mark.long
def test_a_graph_that_was_changed_while_it_ran_gives_what_a_full_run_of_the_new_one_gives() -> None:
    tally = check_all(range(1_500))
    assert tally.compared > 1_000
    assert tally.refused > 100
    for kind in ("source completed: is executed again", "definition executing: is called again"):
        assert tally.kinds[kind] > 20


def rows_of(queue: str | None = None) -> dict[str, Any]:
    """A map of which two rows are open, and one node is executing."""
    draft = {"agent": "work", "inputs": {"i": ":row"}, **({"queue": queue} if queue else {})}
    graph = {"nodes": {"draft": draft, "end": {"agent": "work", "inputs": {"i": ":draft"}, "isResult": True}}}
    node = {"agent": "mapAgent", "inputs": {"rows": ":rows"}, "graph": graph}
    return {"concurrency": 2, "nodes": {"rows": {"value": [1, 2, 3]}, "chapters": node}}


@pytest.mark.parametrize("now", [False, True])
def test_calls_of_open_rows_move_to_another_queue(now: bool) -> None:
    player = Player(rows_of(), Random(1), 0)
    player.start()
    before = [*player.open.values()]
    player.steer(Steering(graph=rows_of("gpu2"), rows="new", now=now))
    sent: list[RunAgent] = []
    while player.finish is None:
        sent += [call for call in player.open.values() if isinstance(call, RunAgent) and call not in sent]
        player.play(1)
    queues = [call.options.queue for call in sent if call.node == "draft"]
    assert queues == ["gpu2"] * 3 if now else queues == [*[None] * len(before), *["gpu2"] * (3 - len(before))]


def test_open_rows_of_a_run_of_an_earlier_version_stay_where_they_are() -> None:
    player = Player(rows_of(), Random(1), 0)
    player.start()
    rules = replace(player.scheduler.rules, gates=Gates(moves_rows=False))
    survey_of = survey(player.scheduler.board, rules, Steering(graph=rows_of("gpu2"), rows="new"))
    assert all(graph.run.plan is graph.plan for graph in survey_of.graphs[1:])


class Noting(Player):
    """A player that notes what was asked; all calls succeed."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(document, Random(1), 0)
        self.asked: list[RunAgent] = []

    def _answer(self, command: Command) -> Event:
        if not isinstance(command, RunAgent):
            return super()._answer(command)
        self.asked.append(command)
        return AgentCompleted(command.call, 1)

    def _check(self) -> None:
        """Not here: it takes a while with this many rows."""


def test_rows_of_a_map_that_have_begun_keep_their_graph_and_the_others_take_the_new_one() -> None:
    count = MIN_OPEN_GRAPH_COUNT + 100

    def graph(n: int) -> dict[str, Any]:
        mark = {"agent": "work", "inputs": {"row": ":row"}, "params": {"n": n}, "isResult": True}
        node = {"agent": "mapAgent", "inputs": {"rows": ":rows"}, "graph": {"nodes": {"mark": mark}}}
        return {"concurrency": 20, "nodes": {"rows": {"value": [*range(count)]}, "map": node}}

    player = Noting(graph(1))
    player.start()
    player.play(30)
    player.steer(Steering(graph=graph(2), rows="new"))
    player.play()
    asked = [(call.inputs["row"], call.params["n"]) for call in player.asked]
    assert sorted(row for row, _ in asked) == [*range(count)]
    old = {row for row, n in asked if n == 1}
    assert old == {*range(len(old))}
    assert 30 < len(old) < count
