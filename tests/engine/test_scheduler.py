"""What the scheduler does, event by event."""

from typing import Any

import pytest

from perdure.engine.messages import (
    Abort,
    AgentCompleted,
    AgentFailed,
    CancelCall,
    Finish,
    NodeOptions,
    RunAgent,
    RunOptions,
    Settle,
    Settled,
    StartTimer,
    TimerFired,
)
from perdure.engine.scheduler import Scheduler
from perdure.errors import GraphError, UsageError
from perdure.graph.values import UNDEFINED
from tests.engine.drive import Drive, Fail, work


def graph(**nodes: Any) -> dict[str, Any]:
    return {"nodes": nodes}


def failing(*nodes: str, times: int = 99, final: bool = False) -> Any:
    """Answers that fail the calls of these nodes, so many times."""
    calls: dict[str, int] = {}

    def answer(command: RunAgent) -> Any:
        calls[command.node] = calls.get(command.node, 0) + 1
        if command.node in nodes and calls[command.node] <= times:
            raise Fail(f"{command.node} failed {calls[command.node]}", final)
        return {"n": calls[command.node]}

    return answer


# Calls


def test_a_call_tells_the_agent_all_it_may_know() -> None:
    node = work(
        inputs={"x": ":s", "params": {"b": 2}},
        params={"a": 1},
        filterParams={"f": 1},
        isResult=True,
        timeout=500,
        queue="gpu",
    )
    config = {"global": {"g": 1, "w": 0}, "work": {"w": 1}, "other": {"o": 1}}
    drive = Drive({**graph(s={"value": 5}, n=node), "version": 0.3, "verbose": True}, config=config).start()
    assert drive.commands == [
        RunAgent(
            call=1,
            node="n",
            path="n",
            key="n",
            agent="work",
            inputs={"x": 5, "params": {"b": 2}},
            params={"a": 1, "b": 2},
            config={"g": 1, "w": 1},
            filter_params={"f": 1},
            retry=0,
            is_result=True,
            version=0.3,
            verbose=True,
            options=NodeOptions(timeout=500, queue="gpu"),
        )
    ]


def test_a_node_with_a_graph_sees_the_whole_config() -> None:
    drive = Drive(graph(n=work(graph=graph(a=work()))), config={"other": 1}).start()
    assert drive.commands[0].config == {"other": 1}  # type: ignore[union-attr]


def test_results_flow_from_node_to_node() -> None:
    drive = Drive(
        graph(b=work(inputs={"v": ":a.v"}, isResult=True), a=work()), {"a": {"v": 1}, "b": UNDEFINED}
    )
    finish = drive.run()
    assert finish == Finish(all={"a": {"v": 1}}, results={}, errors={}, failure=None, aborted=False)
    assert drive.moves == [
        *("__loopIndex injected", "a queued", "a executing", "a completed"),
        *("b queued", "b executing", "b completed"),
    ]


def test_agents_are_known_or_the_graph_is_refused() -> None:
    with pytest.raises(GraphError, match="no agent 'work'"):
        Scheduler(graph(a=work()), agents=["other"])
    Scheduler(graph(a=work()), RunOptions(bypass_agents=["work"]), agents=["other"])
    Scheduler(graph(a={"agent": "nestedAgent", "graph": graph(b=work())}), agents=["work"])


def test_an_agent_of_the_shell_may_take_the_place_of_one_of_the_engine() -> None:
    scheduler = Scheduler(graph(a={"agent": "mapAgent"}), agents=["mapAgent"])
    assert [command.agent for command in scheduler.start(0)] == ["mapAgent"]  # type: ignore[union-attr]


DYNAMIC = [
    ("work", None),
    ("nobody", "No agent: nobody in n node"),
    (UNDEFINED, "No agent: undefined in n node"),
    ({"x": 1}, "No agent: [object Object] in n node"),
]


@pytest.mark.parametrize(("agent", "failure"), DYNAMIC)
def test_an_agent_given_by_reference(agent: Any, failure: str | None) -> None:
    scheduler = Scheduler(graph(who=work(), n={"agent": ":who.name"}), agents=["work"])
    scheduler.start(0)
    commands = scheduler.handle(AgentCompleted(1, {"name": agent}), 0)
    found = commands[-1].failure if isinstance(commands[-1], Finish) else None
    assert found == failure


def test_a_reference_to_an_agent_of_another_queue_is_taken_as_it_is() -> None:
    scheduler = Scheduler(graph(who=work(), n={"agent": ":who", "queue": "gpu"}), agents=["work"])
    scheduler.start(0)
    assert scheduler.handle(AgentCompleted(1, "theirs"), 0)[0].agent == "theirs"  # type: ignore[union-attr]


def test_a_node_without_a_name_has_none_in_messages() -> None:
    assert Drive(graph(**{"": {"agent": ":a"}, "a": work()}), {"a": None}).run().failure == "No agent: null"


# Conditions, defaults, anyInput


@pytest.mark.parametrize(
    ("value", "runs"),
    [([], False), ({}, True), ("0", True), (0, False), (None, False), (UNDEFINED, False), ([0], True)],
)
def test_conditions(value: Any, runs: bool) -> None:
    nodes = graph(a=work(), yes=work(**{"if": ":a"}), no=work(unless=":a"), later=work(inputs={"x": ":no"}))
    drive = Drive(nodes, {"a": value})
    drive.run()
    assert ("yes" in drive.paths, "no" in drive.paths, "later" in drive.paths) == (runs, not runs, not runs)
    assert ("no skipped" in drive.moves) == runs


def test_a_default_stands_in_for_a_skipped_node() -> None:
    node = work(**{"if": ":no", "defaultValue": {"d": 1}, "output": {"x": ".d"}, "passThrough": {"p": ":no"}})
    drive = Drive(graph(no={"value": 0}, a=node, b=work(inputs={"a": ":a"})))
    assert drive.run().all == {"no": 0, "a": {"x": 1, "p": 0}, "b": {}}
    assert drive.paths == ["b"]


def test_a_default_that_cannot_be_handed_on_fails_the_node_once() -> None:
    node = work(**{"if": ":no", "defaultValue": "x", "output": {"x": "${@loop}"}, "retry": 5})
    drive = Drive(graph(no={"value": 0}, a=node))
    assert (drive.run().failure or "").startswith("${@loop} has no value in `output`")
    assert drive.paths == []


def test_any_input_starts_with_the_first_value_and_without_nothing() -> None:
    node = work(anyInput=True, inputs={"x": [":a.v", ":b.v"], "params": {"p": ":a"}})
    drive = Drive(graph(a=work(), b=work(), n=node), {"a": {"v": UNDEFINED}, "b": {"v": 2}})
    drive.run()
    assert drive.paths == ["a", "b", "n"]
    command = next(
        command for command in drive.commands if isinstance(command, RunAgent) and command.node == "n"
    )
    assert command.inputs == {"x": [2], "params": {"p": {}}}


def test_any_input_that_cannot_be_read_fails_the_node_that_brought_it() -> None:
    nodes = graph(
        a=work(), b=work(inputs={"x": ":a"}), n=work(anyInput=True, inputs={"x": ":b.jsonParse()", "y": ":a"})
    )
    drive = Drive(nodes, {"b": "no json"})
    finish = drive.run()
    assert list(finish.errors) == ["b"]
    assert "n completed" in drive.moves


def test_a_condition_that_fails_at_the_start_ends_the_run() -> None:
    drive = Drive(graph(s={"value": "no json"}, a=work(), b=work(**{"if": ":s.jsonParse()"})))
    finish = drive.run()
    assert (finish.failure or "").startswith(":s.jsonParse(): ")
    assert finish.errors == {}


# Failures


def test_a_node_is_retried_at_once_in_its_slot() -> None:
    drive = Drive({**graph(a=work(retry=2), b=work()), "concurrency": 1}, failing("a", times=2))
    assert drive.run().all == {"a": {"n": 3}, "b": {"n": 1}}
    assert drive.paths == ["a", "a#1", "a#2", "b"]
    keys = [command.key for command in drive.commands if isinstance(command, RunAgent)]
    assert keys == ["a", "a", "a", "b"]


def test_the_first_failing_node_in_document_order_names_the_failure() -> None:
    drive = Drive(graph(b=work(inputs={"x": ":c"}), a=work(), c=work()), failing("a", "b"))
    finish = drive.run()
    assert (finish.failure, finish.errors) == ("b failed 1", {"b": "b failed 1", "a": "a failed 1"})
    assert finish.all == {"c": {"n": 1}}


def test_a_final_failure_is_not_retried() -> None:
    drive = Drive(graph(a=work(retry=5)), failing("a", final=True))
    assert drive.run().errors == {"a": "a failed 1"}


def test_a_call_that_timed_out_may_be_retried() -> None:
    drive = Drive(graph(a=work(retry=1))).start()
    drive.give(AgentFailed(1, "Timeout", "timed-out")).give(AgentFailed(2, "Timeout", "timed-out"))
    assert drive.finish is not None
    assert drive.finish.failure == "Timeout"
    assert (
        drive.moves[-4:] == ["a timed-out", "a#1 executing", "a#1 timed-out"][-4:]
        or "a#1 timed-out" in drive.moves
    )


def test_inputs_that_cannot_be_read_fail_the_node() -> None:
    drive = Drive(graph(s={"value": "no"}, ok=work(), a=work(inputs={"x": ":s.jsonParse()"}, retry=2)))
    finish = drive.run()
    assert list(finish.errors) == ["a"]
    assert drive.moves.count("a#2 failed") == 1


def test_a_graph_that_is_no_mapping_fails_any_node() -> None:
    assert Drive(graph(a=work(graph=5), b=work())).run().errors == {"a": "graph is no mapping but '5'"}


@pytest.mark.parametrize(("results", "calls"), [([{"k": 0}], 1), ([{}, {"k": None}, {"k": 1}], 3)])
def test_repeat_until_something_exists(results: list[Any], calls: int) -> None:
    answers = iter(results)
    drive = Drive(graph(a=work(repeatUntil={"exists": ".k"}, retry=5)), lambda command: next(answers))
    assert drive.run().failure is None
    assert len(drive.paths) == calls


def test_repeat_until_gives_up() -> None:
    drive = Drive(graph(a=work(repeatUntil={"exists": ".k"}, retry=1)), {"a": {}})
    assert drive.run().failure == "Repeat Until"
    assert Drive(graph(a=work(repeatUntil={"exists": "literal"})), {"a": {}}).run().failure is None


def test_a_consumers_condition_that_fails_is_the_failure_of_the_source() -> None:
    drive = Drive(graph(a=work(retry=1), b=work(**{"if": ":a.jsonParse()"})), {"a": "no json"})
    finish = drive.run()
    assert (list(finish.errors), drive.paths) == (["a"], ["a", "a#1"])
    assert finish.all == {}


# Results


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"k": 1}, {"k": 1, "p": "S"}),
        ([{"k": 1}, 2], [{"k": 1, "p": "S"}, 2]),
        ([1], [1]),
        ("text", "text"),
        (0, 0),
    ],
)
def test_pass_through_is_merged_over_objects(result: Any, expected: Any) -> None:
    drive = Drive(graph(s={"value": "S"}, a=work(passThrough={"p": ":s"})), {"a": result})
    assert drive.run().all["a"] == expected


def test_output_maps_the_result_and_pass_through_goes_over_it_again() -> None:
    output = {"x": ".k.$0", "now": "${@now}", "own": ".p", "lit": ":s", "gone": ".zz"}
    drive = Drive(graph(s={"value": "S"}, a=work(output=output, passThrough={"p": ":s"})), {"a": {"k": [5]}})
    scheduler = drive.scheduler
    scheduler.start(0)
    (finish,) = scheduler.handle(AgentCompleted(1, {"k": [5]}), 1234)
    assert isinstance(finish, Finish)
    expected = {"x": 5, "now": "1234", "own": "S", "lit": ":s", "gone": UNDEFINED, "p": "S"}
    assert finish.all["a"] == expected


# Console


@pytest.mark.parametrize(
    ("console", "shown"),
    [
        (True, ['{\n  "x": 1\n}', '{\n  "k": [\n    2\n  ]\n}']),
        ({"before": True}, ['{\n  "x": 1\n}']),
        ({"before": "begins", "after": "ends"}, ["begins", "ends"]),
        ({"after": {"first": ".k.$0"}}, ['{\n  "first": 2\n}']),
        ({"before": 0, "after": ""}, []),
        (False, []),
        ("text", []),
    ],
)
def test_console_of_a_node(console: Any, shown: list[str]) -> None:
    drive = Drive(graph(a=work(inputs={"x": 1}, console=console)), {"a": {"k": [2]}})
    drive.run()
    assert drive.shown == [("a", text) for text in shown]


def test_console_shows_a_text_as_it_is() -> None:
    drive = Drive(graph(a=work(console={"after": True})), {"a": "plain"})
    drive.run()
    assert drive.shown == [("a", "plain")]


def test_console_of_a_static_node_shows_each_new_iteration() -> None:
    nodes = graph(s={"value": 1, "update": ":a.n", "console": True}, a=work())
    drive = Drive({**nodes, "loop": {"count": 3}}, failing())
    drive.run()
    assert drive.shown == [("s@1", "1"), ("s@2", "2")]


def test_console_that_cannot_be_shown_fails_the_node() -> None:
    drive = Drive(graph(a=work(console={"after": {"x": "${@loop}"}})))
    assert (drive.run().failure or "").startswith("${@loop} has no value in `output`")


# The caller's options


def test_injects_come_in_order_and_only_into_static_nodes() -> None:
    nodes = graph(s={"value": 1}, a=work(inputs={"s": ":s"}))
    assert Drive(nodes, injects=(("s", 2), ("s", 3))).run().all["s"] == 3
    for name in ("a", "nobody"):
        with pytest.raises(UsageError, match=f"injectValue with Invalid nodeId, {name}"):
            Drive(nodes, injects=((name, 1),))


def test_a_static_node_without_value_needs_one() -> None:
    failure = Drive(graph(s={}, t={}, a=work())).run().failure
    text = "Static node(s) must have value. Set value, injectValue, or set update. Affected nodeIds: s, t"
    assert failure == text
    assert Drive(graph(s={}, t={}, a=work()), injects=(("s", None), ("t", 0))).run().failure is None


def test_previous_results_feed_the_updates() -> None:
    nodes = graph(s={"value": 1, "update": ":a.k"}, a=work(inputs={"s": ":s"}))
    drive = Drive(nodes, previous_results={"a": {"k": 5}})
    assert drive.run().all["s"] == 5


def test_a_run_in_which_nothing_can_start_has_no_results() -> None:
    finish = Drive(graph(s={"value": 0}, a=work(**{"if": ":s"}))).run()
    assert (finish.all, finish.results, finish.failure) == ({}, {}, None)


def test_a_loop_goes_on_after_errors_where_the_caller_wants_it() -> None:
    nodes = {**graph(a=work()), "loop": {"count": 3}}
    assert Drive(nodes, failing("a", times=1)).run().failure == "a failed 1"
    assert Drive(nodes, failing("a", times=1), force_loop=True).run().all == {"a": {"n": 3}}


def test_only_the_outer_loop_goes_on_after_errors() -> None:
    inner = {**graph(i=work()), "loop": {"count": 3}}
    nodes = {**graph(n={"agent": "nestedAgent", "graph": inner}), "loop": {"count": 2}}
    drive = Drive(nodes, failing("i"), force_loop=True)
    drive.run()
    assert drive.paths == ["n.i", "n@1.i"]


# Graphs inside nodes


def nested(**keys: Any) -> dict[str, Any]:
    return {"agent": "nestedAgent", "graph": graph(i=work(isResult=True)), **keys}


def rows(*items: Any, **keys: Any) -> dict[str, Any]:
    inner = graph(i=work(inputs={"row": ":row"}, isResult=True))
    return {"agent": "mapAgent", "graph": inner, "inputs": {"rows": list(items)}, **keys}


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
        ({**rows(), "inputs": {"rows": []}}, 2, "Cannot convert undefined or null to object"),
        (rows(1, params={"rowKey": "i"}, graph=graph(i=work())), 1, "injectValue with Invalid nodeId, i"),
        (nested(graph=graph(s={"value": 1})), 2, "\x1b[41mNo Initial Runnning Node\x1b[0m"),
        (nested(graph=0), 2, "Please update graphai to 0.5.19 or higher"),
        (nested(graph=[]), 1, "No GraphData"),
    ],
)
def test_calls_of_graph_agents_that_are_refused(node: Any, turns: int, failure: str) -> None:
    drive = Drive(graph(n=node)).start()
    assert drive.commands == [Settle(1, turns)]
    assert drive.give(Settled(1)).finish == Finish(all={}, results={}, errors={"n": failure}, failure=failure)


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


# The end


def test_abort_stops_what_runs_and_keeps_what_is() -> None:
    nodes = graph(a=work(), b=work(), n=nested(timeout=50), c=work(inputs={"x": ":b"}))
    drive = Drive({**nodes, "concurrency": 5}, {"a": 1}).start().step()
    drive.give(Abort())
    assert {command.call for command in drive.commands if isinstance(command, CancelCall)} == {2, 4, 5}
    assert drive.finish == Finish(all={"a": 1}, results={}, aborted=True)
    assert drive.scheduler.finished
    assert drive.scheduler.handle(AgentCompleted(2, 1), 0) == []
    states = {name: str(drive.scheduler.root.nodes[name].state) for name in ("a", "b", "n", "c")}
    assert states == {"a": "completed", "b": "abort", "n": "abort", "c": "waiting"}
