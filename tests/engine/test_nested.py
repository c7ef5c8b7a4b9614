"""Graphs inside nodes: rows, failures, turns, time."""

from typing import Any

import pytest

from perdure.engine.messages import (
    AgentCompleted,
    AgentFailed,
    CancelCall,
    Finish,
    RunAgent,
    Settle,
    Settled,
    StartTimer,
    TimerFired,
)
from perdure.graph.values import UNDEFINED
from tests.support.drive import Drive, failing, graph, nested, rows, work

# Graphs inside nodes


def test_a_graph_inside_settles_some_turns_after_its_end() -> None:
    drive = Drive(graph(n=nested(), b=work(inputs={"x": ":n.i"})), {"i": 7}).start()
    assert drive.paths == ["n.i"]
    drive.step()
    assert drive.waiting == [Settle(1, 4)]
    drive.step()
    assert drive.paths == ["n.i", "b"]
    assert drive.scheduler.root.result("n") == {"i": 7}


def test_paths_name_rows_iterations_and_retries() -> None:
    nodes = {**graph(m=rows("a", "b", retry=1)), "loop": {"count": 2}}
    drive = Drive(nodes, failing("i", times=1))
    drive.run()
    assert drive.paths == ["m[0].i", "m[1].i", "m#1[0].i", "m#1[1].i", "m@1[0].i", "m@1[1].i"]
    keys = [command.key for command in drive.commands if isinstance(command, RunAgent)]
    assert keys == ["m[0].i", "m[1].i", "m[0].i", "m[1].i", "m@1[0].i", "m@1[1].i"]


def test_the_first_row_that_fails_stops_the_others() -> None:
    drive = Drive(graph(m=rows(1, 2, 3))).start()
    drive.give(AgentFailed(3, "row failed"))
    assert drive.waiting[-1] == Settle(1, 4)
    drive.give(Settled(1))
    assert drive.commands[-3:-1] == [CancelCall(2), CancelCall(4)]
    assert drive.finish is not None
    assert drive.finish.failure == "row failed"
    assert drive.scheduler.handle(AgentCompleted(2, "late"), 0) == []


def test_rows_that_still_wait_are_dropped_from_the_queue() -> None:
    drive = Drive({**graph(m=rows(1, 2, 3), b=work()), "concurrency": 1}).start()
    assert drive.paths == ["m[0].i"]
    drive.give(AgentFailed(2, "no")).give(Settled(1))
    assert drive.paths[-1] == "b"
    assert drive.scheduler.board.slots.tickets() == []


def test_an_answer_after_the_decision_changes_nothing() -> None:
    drive = Drive(graph(m=rows(1, 2))).start()
    drive.give(AgentFailed(2, "first")).give(AgentFailed(3, "second")).give(Settled(1))
    assert drive.finish is not None
    assert drive.finish.failure == "first"


def test_a_settled_that_was_not_asked_for_is_ignored() -> None:
    drive = Drive(graph(n=nested())).start()
    assert drive.scheduler.handle(Settled(1), 0) == []
    assert drive.scheduler.handle(Settled(2), 0) == []


def test_errors_inside_can_be_made_results() -> None:
    drive = Drive(graph(n=nested(params={"supressError": True})), failing("i"))
    assert drive.run().all == {"n": {"onError": {"message": "i failed 1", "error": {}}}}


@pytest.mark.parametrize(
    "node", [nested(graph=graph(i={})), nested(graph={"nodes": {}}), nested(graph=graph(i=5))]
)
def test_graphs_that_are_wrong_fail_their_node(node: Any) -> None:
    finish = Drive(graph(n=node, b=work())).run()
    assert list(finish.errors) == ["n"]


def test_a_graph_inside_may_have_nothing_to_run() -> None:
    inner = graph(no={"value": 0}, i=work(**{"if": ":no"}))
    drive = Drive(graph(n=nested(graph=inner), b=work())).start()
    assert drive.waiting[0] == Settle(1, 3)
    assert drive.step().step().finish == Finish(all={"n": {}, "b": {}}, results={})


def test_a_graph_inside_may_be_over_at_once() -> None:
    inner = graph(no={"value": 0}, i=work(**{"if": ":no", "defaultValue": "d", "isResult": True}))
    assert Drive(graph(n=nested(graph=inner), b=work())).run().all == {"n": {"i": "d"}, "b": {}}


def test_a_row_that_fails_as_it_begins_decides_after_all_rows_have_begun() -> None:
    node = rows(1, 2, params={"expandKeys": ["v"]})
    node["inputs"]["v"] = ["only one"]
    drive = Drive(graph(m=node)).start()
    assert drive.commands[-1] == Settle(1, 3)
    assert drive.paths == ["m[0].i"]
    assert (drive.give(Settled(1)).finish or Finish(all={}, results={})).failure is not None


def test_the_first_row_decides_where_several_fail_as_they_begin() -> None:
    node = rows(1, 2, 3, params={"expandKeys": ["v"]}, graph=graph(v={}, i=work(), **{"": {}}))
    node["inputs"] |= {"v": ["ok"], "": UNDEFINED}
    drive = Drive(graph(m=node)).start()
    assert drive.commands == [Settle(1, 3)]
    assert "Affected nodeIds: " in (
        (drive.give(Settled(1)).finish or Finish(all={}, results={})).failure or ""
    )


@pytest.mark.parametrize(
    ("node", "turns", "failure"),
    [
        ({**rows(), "inputs": {"rows": []}}, 2, "mapAgent: there are no rows, so there is no result"),
        (rows(1, params={"rowKey": "i"}, graph=graph(i=work())), 1, "injectValue with Invalid nodeId, i"),
        (nested(graph=graph(s={"value": 1})), 2, "\x1b[41mNo Initial Runnning Node\x1b[0m"),
        (nested(graph=0), 2, "Please update graphai to 0.5.19 or higher"),
        (nested(graph=[]), 1, "No GraphData"),
    ],
)
def test_calls_of_graph_agents_that_are_refused(node: Any, turns: int, failure: str) -> None:
    drive = Drive(graph(n=node)).start()
    assert drive.commands == [Settle(1, turns)]
    finish = drive.give(Settled(1)).finish
    assert finish is not None
    assert (finish.failure or "").partition("\n")[0] == failure
    assert finish == Finish(all={}, results={}, errors={"n": finish.failure}, failure=finish.failure)


def test_an_agent_may_bring_its_graph() -> None:
    node = {"agent": "stringUpdateTextAgent", "inputs": {"newText": "", "oldText": "old"}}
    drive = Drive(graph(n=node), lambda command: command.inputs)
    assert drive.run().all == {"n": {"text": "old"}}
    assert drive.paths == ["n.isOldText", "n.updatedText", "n.resultText"]


def test_a_graph_inside_that_cannot_go_on_is_stopped() -> None:
    inner = graph(s={"value": "no json"}, a=work(), b=work(**{"if": ":s.jsonParse()"}))
    drive = Drive(graph(n=nested(graph=inner))).start()
    assert [type(command) for command in drive.commands] == [RunAgent, Settle]
    drive.give(AgentCompleted(2, 1)).give(Settled(1))
    assert drive.finish is not None
    assert (drive.finish.failure or "").startswith(":s.jsonParse(): ")


def test_an_iteration_may_be_over_at_once() -> None:
    nodes = graph(
        go={"value": True, "update": ":no"}, no={"value": 0}, a=work(**{"if": ":go", "defaultValue": "d"})
    )
    drive = Drive({**nodes, "loop": {"count": 4}})
    assert drive.run().all == {"go": 0, "no": 0, "a": "d"}
    assert drive.moves.count("a@3 completed") == 1


def test_a_long_chain_of_nodes_that_are_over_at_once() -> None:
    nodes = graph(no={"value": 0}, n0=work())
    for index in range(1, 200):
        node = work(**{"if": ":no", "defaultValue": index, "inputs": {"x": f":n{index - 1}"}})
        nodes["nodes"][f"n{index}"] = node
    assert list(Drive(nodes).run().all.values()) == [0, {}, *range(1, 200)]


def test_rows_that_begin_late_keep_the_slot_that_they_have() -> None:
    """A row whose node is over lets the next begin, and so on: beyond a depth, this is put off."""
    inner = graph(i=work(inputs={"x": ":x"}, isResult=True))
    row = graph(n=nested(graph=inner, inputs={"x": ":row"}, isResult=True))
    rows = {"agent": "mapAgent", "inputs": {"rows": list(range(1_000))}, "graph": row, "isResult": True}
    drive = Drive({**graph(m=rows), "concurrency": 8}, lambda command: command.inputs["x"])
    finish = drive.run()
    assert (finish.failure, len(finish.results["m"])) == (None, 1_000)


def test_one_plan_serves_every_use_of_a_graph() -> None:
    inner = graph(i=work(), k=work())
    drive = Drive(graph(a=nested(graph=":g"), b=nested(graph=":g"), g={"value": inner})).start()
    plans = {id(run.plan) for run in drive.scheduler.board.runs.values() if run.parent}
    assert len(plans) == 1


def test_an_input_named_like_a_computed_node_is_refused_even_where_a_plan_is_known() -> None:
    nodes = graph(
        g={"value": graph(i=work())}, a=nested(graph=":g"), z=work(), c=nested(graph=":g", inputs={"i": ":z"})
    )
    finish = Drive(nodes, {"z": 5}).run()
    assert finish.errors == {"c": "\x1b[41mCannot set both agent and value\x1b[0m"}


def test_plans_of_ever_new_graphs_do_not_pile_up() -> None:
    nodes = {**graph(g=work(), n=nested(graph=":g")), "loop": {"count": 250}}
    drive = Drive(nodes, lambda command: graph(i=work()) if command.node == "g" else 1)
    assert drive.run().failure is None
    assert len(drive.paths) == 500


def test_abandoned_plans_are_forgotten() -> None:
    graphs = [graph(i=work(), **{f"k{index}": {"value": 1}}) for index in range(120)]
    nodes = {f"n{index}": nested(graph=inner) for index, inner in enumerate(graphs)}
    assert Drive({"concurrency": 500, "nodes": nodes}).run().failure is None


# Time


def test_a_graph_inside_has_a_timer() -> None:
    drive = Drive(graph(n=nested(timeout=50))).start()
    assert drive.commands[:2] == [StartTimer(2, 50), drive.commands[1]]
    drive.step().step()
    assert drive.commands[-2] == CancelCall(2)
    assert drive.finish is not None


def test_time_out_stops_the_graph_inside() -> None:
    drive = Drive(graph(n=nested(timeout=50, retry=1))).start()
    drive.give(TimerFired(2))
    assert "n timed-out" in drive.moves
    assert drive.moves[drive.moves.index("n timed-out") - 1] == "n.i abort"
    assert [command for command in drive.commands if isinstance(command, CancelCall)] == [CancelCall(3)]
    drive.give(TimerFired(5))
    assert drive.finish is not None
    assert (drive.finish.failure, drive.finish.errors) == ("Timeout", {"n": "Timeout"})


def test_time_out_after_the_graph_inside_ended() -> None:
    drive = Drive(graph(n=nested(timeout=50))).start().step()
    assert drive.waiting == [StartTimer(2, 50), Settle(1, 4)]
    drive.give(TimerFired(2))
    assert drive.finish is not None
    assert drive.finish.failure == "Timeout"


def test_a_timer_that_is_over_is_ignored() -> None:
    drive = Drive(graph(n=nested(timeout=50), b=work())).start()
    drive.give(AgentCompleted(3, 1)).give(Settled(1))
    assert drive.scheduler.handle(TimerFired(2), 0) == []


def test_a_batch_is_for_the_calls_inside_too() -> None:
    """A node's own wins; where it has none, that of the innermost node around it does."""
    inner = graph(i=work(), own=work(batch=3), deep={**nested(), "batch": 2}, again=nested())
    drive = Drive(graph(m=rows(1, graph=inner, batch=5), o=work())).start()
    while drive.finish is None:
        drive.step()
    batches = {
        command.path: command.options.batch for command in drive.commands if isinstance(command, RunAgent)
    }
    assert batches == {"m[0].i": 5, "m[0].own": 3, "m[0].deep.i": 2, "m[0].again.i": 5, "o": 1}
