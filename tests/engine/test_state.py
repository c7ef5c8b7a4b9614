import pytest

from perdure.engine.maps.opened_graphs import Nested
from perdure.engine.plan import compile_plan
from perdure.engine.resolved_values import ResolvedValues
from perdure.engine.state import TRANSITIONS, Clock, GraphRun, NodeState
from perdure.errors import InvalidTransition
from perdure.graph.values import UNDEFINED

S = NodeState


def graph_run(**nodes: object) -> GraphRun:
    run = GraphRun(id=1, plan=compile_plan({"nodes": nodes}), clock=Clock(7), resolved=ResolvedValues())
    run.renew()
    return run


def test_the_table_of_transitions() -> None:
    table = {str(state): sorted(map(str, following)) for state, following in TRANSITIONS.items()}
    assert table == {
        "waiting": ["injected", "queued", "skipped"],
        "queued": ["completed", "executing", "failed", "fell-back"],
        "executing": ["abort", "completed", "failed", "fell-back", "timed-out"],
        "completed": ["failed"],
        "fell-back": ["failed"],
        "failed": ["executing", "failed", "fell-back"],
        "timed-out": ["executing", "failed", "fell-back"],
        "skipped": [],
        "injected": ["injected"],
        "abort": [],
    }


def test_an_unknown_transition_tells_the_story_of_the_node() -> None:
    run = graph_run(a={"agent": "x", "inputs": {"b": ":b", "c": ":c"}}, b={"agent": "x"}, c={"agent": "x"})
    run.iteration, run.nodes["a"].retries, run.nodes["a"].call = 2, 1, 5
    with pytest.raises(InvalidTransition) as error:
        run.move("a", S.COMPLETED)
    story = "a@2#1: waiting -> completed is not a transition (retries 1, call 5, waiting for ['b', 'c'])"
    assert str(error.value) == story
    assert run.nodes["a"].state is S.WAITING


@pytest.mark.parametrize(
    ("iteration", "retries", "path", "key"),
    [
        (0, 0, "m[3].a", "k.a"),
        (2, 0, "m[3].a@2", "k.a@2"),
        (0, 1, "m[3].a#1", "k.a"),
        (2, 1, "m[3].a@2#1", "k.a@2"),
    ],
)
def test_paths_mark_iterations_and_retries_and_keys_only_iterations(
    iteration: int, retries: int, path: str, key: str
) -> None:
    run = graph_run(a={"agent": "x"})
    run.path, run.key, run.iteration, run.nodes["a"].retries = "m[3].", "k.", iteration, retries
    assert (run.path_of("a"), run.key_of("a")) == (path, key)


def test_results_are_those_that_are_defined_in_the_order_of_javascript() -> None:
    run = graph_run(b={"value": 1, "isResult": True}, a={"value": None, "isResult": 1}, **{"1": {"value": 2}})
    run.nodes["b"].result, run.nodes["a"].result, run.nodes["1"].result = "B", None, 0
    assert list(run.results(True).items()) == [("1", 0), ("b", "B"), ("a", None)]
    assert run.results(False) == {"b": "B", "a": None}
    run.nodes["b"].result = UNDEFINED
    assert run.results(False) == {"a": None}


def test_the_loop_index_is_hidden_and_readable() -> None:
    run = graph_run(a={"agent": "x"})
    run.nodes["__loopIndex"].result = 4
    assert (run.loop, run.now_ms, run.result("nobody")) == (4, 7, UNDEFINED)
    assert run.results(True) == {}
    assert run.results(True, hidden=True) == {"__loopIndex": 4}


def test_errors_come_in_document_order() -> None:
    run = graph_run(b={"agent": "x"}, a={"agent": "x"}, c={"agent": "x"})
    run.nodes["a"].error, run.nodes["b"].error = "late", "early"
    assert list(run.errors().items()) == [("b", "early"), ("a", "late")]


def test_a_walk_meets_all_graphs_inside() -> None:
    outer, middle, inner = (graph_run(a={"agent": "x"}, s={"value": 1}) for _ in range(3))
    outer.nodes["a"].nested = Nested(call=1, agent="mapAgent", params={}, children=[2])
    middle.nodes["a"].nested = Nested(call=2, agent="nestedAgent", params={}, children=[3])
    assert list(outer.walk({2: middle, 3: inner})) == [outer, middle, inner]
