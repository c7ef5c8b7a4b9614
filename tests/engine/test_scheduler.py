"""What the scheduler does, event by event: calls, conditions, the caller's options, the end."""

from typing import Any

import pytest

from perdure.engine.messages import (
    Abort,
    AgentCompleted,
    CancelCall,
    Finish,
    NodeOptions,
    RunAgent,
    RunOptions,
)
from perdure.engine.scheduler import Scheduler
from perdure.errors import GraphError, UsageError
from perdure.graph.values import UNDEFINED
from tests.support.drive import Drive, failing, graph, nested, work

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
    assert drive.commands[0].config == {"other": 1}


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
    assert [command.agent for command in scheduler.start(0)] == ["mapAgent"]


DYNAMIC = [
    ("work", None),
    ("missing", "No agent: missing in n node"),
    (UNDEFINED, "No agent: undefined in n node"),
    ({"x": 1}, "No agent: [object Object] in n node"),
]


@pytest.mark.parametrize(("agent", "failure"), DYNAMIC)
def test_an_agent_named_by_reference(agent: Any, failure: str | None) -> None:
    scheduler = Scheduler(graph(who=work(), n={"agent": ":who.name"}), agents=["work"])
    scheduler.start(0)
    commands = scheduler.handle(AgentCompleted(1, {"name": agent}), 0)
    message = commands[-1].failure if isinstance(commands[-1], Finish) else None
    assert message == failure


def test_a_reference_to_an_agent_of_another_queue_is_taken_as_it_is() -> None:
    scheduler = Scheduler(graph(who=work(), n={"agent": ":who", "queue": "gpu"}), agents=["work"])
    scheduler.start(0)
    assert scheduler.handle(AgentCompleted(1, "theirs"), 0)[0].agent == "theirs"


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


def test_a_default_starts_a_node_that_comes_before() -> None:
    """In one go with the begin of the graph."""
    document = graph(
        b=work(inputs={"a": ":a"}), no={"value": 0}, a=work(**{"if": ":no"}, defaultValue={"d": 1}), c=work()
    )
    drive = Drive(document).start()
    assert sorted(drive.paths) == ["b", "c"]
