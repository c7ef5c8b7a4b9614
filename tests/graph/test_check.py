"""Every problem of a graph: its code, its place, its hint, and what GraphAI says instead."""

from typing import Any

import pytest

from perdure.errors import Problem
from perdure.graph.check import first_problem, modernized, problems

AGENTS = ("copyAgent", "nestedAgent")


UP_TO, TEN_YEARS = "give {} a number up to {}", "315,360,000,000"


def copy(**keys: Any) -> dict[str, Any]:
    return {"agent": "copyAgent", **keys}


def graph(**nodes: Any) -> dict[str, Any]:
    """A graph of these nodes, and one that is always right."""
    return {"nodes": {"ok": copy(), **nodes}}


def coloured(text: str) -> str:
    return f"\x1b[41m{text}\x1b[0m"


LOOP = "give loop either count or while"
WHOLE = "give a whole number, 1 or more"
SHAPE = "concurrency is a positive integer, or {global: 8, labels: {name: 2}}"
NODES = "nodes is a mapping from node id to node, with at least one node"
INVALID = "Invalid Graph Data: "
OWN_NODE = {**graph(), "nodes": {"ok": copy()}}

PROBLEMS: list[tuple[Any, str, str, str, str]] = [
    # the graph as a whole
    ("x", "not-a-graph", "", "write nodes: at the top", "TypeError"),
    ({}, "nodes", "nodes", NODES, coloured(INVALID + "no nodes")),
    ({"nodes": None}, "nodes", "nodes", NODES, "TypeError"),
    ({"nodes": []}, "nodes", "nodes", NODES, coloured(INVALID + "nodes must be object")),
    ({"nodes": 5}, "nodes", "nodes", NODES, coloured(INVALID + "invalid nodes")),
    ({"nodes": {}}, "nodes", "nodes", NODES, coloured(INVALID + "nodes is empty")),
    (
        {**graph(), "nods": 1},
        "unknown-key",
        "nods",
        "did you mean 'nodes'?",
        coloured("Graph Data does not allow nods"),
    ),
    (
        {**graph(), "loop": True},
        "loop",
        "loop",
        LOOP,
        coloured("Loop: Either count or while is required in loop"),
    ),
    (
        {**graph(), "loop": {"count": 1, "while": ":ok"}},
        *("loop", "loop", LOOP, coloured("Loop: Both count and while cannot be set")),
    ),
    # concurrency
    (
        {**graph(), "concurrency": "2"},
        "concurrency",
        "concurrency",
        WHOLE,
        coloured("Concurrency must be an integer"),
    ),
    (
        {**graph(), "concurrency": 1.5},
        "concurrency",
        "concurrency",
        WHOLE,
        coloured("Concurrency must be an integer"),
    ),
    (
        {**graph(), "concurrency": 0},
        "concurrency",
        "concurrency",
        WHOLE,
        coloured("Concurrency must be a positive integer"),
    ),
    (
        {**graph(), "concurrency": {"global": 1, "x": 1}},
        *("concurrency", "concurrency.x", SHAPE, coloured("Concurrency object does not allow x")),
    ),
    (
        {**graph(), "concurrency": {}},
        *("concurrency", "concurrency", SHAPE, coloured("Concurrency object must have a global field")),
    ),
    (
        {**graph(), "concurrency": {"global": -1}},
        *(
            "concurrency",
            "concurrency.global",
            WHOLE,
            coloured("Concurrency.global must be a positive integer"),
        ),
    ),
    (
        {**graph(), "concurrency": {"global": 1, "labels": []}},
        *("concurrency", "concurrency.labels", SHAPE, coloured("Concurrency.labels must be an object")),
    ),
    (
        {**graph(), "concurrency": {"global": 1, "labels": {"a": True}}},
        *("concurrency", "concurrency.labels.a", WHOLE, coloured("Concurrency.labels.a must be an integer")),
    ),
    # one node
    (graph(a="x"), "not-a-node", "nodes.a", "give it agent: (computed) or value: (static)", "TypeError"),
    (
        graph(a=copy(value=1)),
        *(
            "agent-and-value",
            "nodes.a",
            "remove one: a node is computed or static",
            coloured("Cannot set both agent and value"),
        ),
    ),
    (
        graph(a={"valeu": 1}),
        *(
            "unknown-key",
            "nodes.a.valeu",
            "did you mean 'value'?",
            coloured("Static node does not allow valeu"),
        ),
    ),
    (
        graph(a={"inputs": {}}),
        *("unknown-key", "nodes.a.inputs", "without agent: a node is static; name its agent"),
        coloured("Static node does not allow inputs"),
    ),
    (
        graph(a=[1]),
        *(
            "unknown-key",
            "nodes.a.0",
            "there is: console, isResult, update, value",
            coloured("Static node does not allow 0"),
        ),
    ),
    (
        graph(a=copy(input={})),
        *(
            "unknown-key",
            "nodes.a.input",
            "did you mean 'inputs'?",
            coloured("Computed node does not allow input"),
        ),
    ),
    (
        graph(a=copy(label=1)),
        "label",
        "nodes.a.label",
        "quote it",
        coloured("Computed node label must be a string"),
    ),
    (graph(a=copy(queue=":nowhere.queue")), "unknown-node", "nodes.a.queue", "there is: a, ok", ""),
    (
        graph(a=copy(queue=":")),
        *("queue", "nodes.a.queue", "write ':node.prop', or the name of a task queue", ""),
    ),
    (graph(a=copy(heartbeat=0.5)), "heartbeat", "nodes.a.heartbeat", "give a number such as 2", ""),
    (
        graph(a=copy(heartbeat=4e3)),
        *("bounds", "nodes.a.heartbeat", "give heartbeat a number up to 3,600", ""),
    ),
    (graph(a=copy(queue="")), "queue", "nodes.a.queue", "write a string such as 'gpu'", ""),
    (graph(a=copy(placement="gpu")), "placement", "nodes.a.placement", "one of activity, local", ""),
    (graph(a=copy(deadline=0)), "deadline", "nodes.a.deadline", "give a number such as 60000", ""),
    (graph(a=copy(retry=1001)), "bounds", "nodes.a.retry", "give retry a number up to 1,000", ""),
    (graph(a=copy(retry="1e300")), "bounds", "nodes.a.retry", "give retry a number up to 1,000", ""),
    (
        graph(a=copy(timeout=4e11)),
        "bounds",
        "nodes.a.timeout",
        "give timeout a number up to 315,360,000,000",
        "",
    ),
    (
        graph(a=copy(deadline=4e11)),
        "bounds",
        "nodes.a.deadline",
        "give deadline a number up to 315,360,000,000",
        "",
    ),
    (graph(a=copy(backoff=1e5)), "bounds", "nodes.a.backoff", "give backoff a number up to 86,400", ""),
    (
        graph(a=copy()) | {"concurrency": 1_000_001},
        "bounds",
        "concurrency",
        "give concurrency a number up to 1,000,000",
        "",
    ),
    (graph(a=copy(batch=1001)), "batch", "nodes.a.batch", "give a number such as 100", ""),
    (graph(a=copy(backoff=0)), "backoff", "nodes.a.backoff", "give a number such as 2", ""),
    (
        graph(a=copy(graphLoader={"fileName": "a.yaml", "option": 1})),
        *("graph-loader", "nodes.a.graphLoader.option", "give it fileName only", ""),
    ),
    # agents
    (
        graph(a={"agent": "copyagent"}),
        *("unknown-agent", "nodes.a.agent", "did you mean 'copyAgent'?; your own come with --agents MODULE"),
        coloured("Invalid Agent : copyagent is not in AgentFunctionInfoDictionary."),
    ),
    (
        graph(a={"agent": "zzz"}),
        *(
            "unknown-agent",
            "nodes.a.agent",
            "perdure agents lists those that are shipped; your own come with --agents MODULE",
        ),
        coloured("Invalid Agent : zzz is not in AgentFunctionInfoDictionary."),
    ),
    (
        graph(a={"agent": 5}),
        *(
            "agent",
            "nodes.a.agent",
            "name an agent, or refer to one",
            "agent must be either string or function",
        ),
    ),
    # references
    (
        graph(a=copy(inputs={"x": [":missing.k"]})),
        *(
            "unknown-node",
            "nodes.a.inputs",
            "there is: a, ok",
            coloured("Inputs not match: NodeId a, Inputs: missing"),
        ),
    ),
    (
        graph(a=copy(inputs={"x": "${:okk} and more"})),
        *(
            "unknown-node",
            "nodes.a.inputs",
            "did you mean 'ok'?",
            coloured("Inputs not match: NodeId a, Inputs: okk"),
        ),
    ),
    (
        graph(a=copy(**{"if": ":okk"})),
        *(
            "unknown-node",
            "nodes.a.if",
            "did you mean 'ok'?",
            coloured("If not match: NodeId a, Inputs: okk"),
        ),
    ),
    (
        graph(a=copy(graph=":okk")),
        *(
            "unknown-node",
            "nodes.a.graph",
            "did you mean 'ok'?",
            coloured("Graph not match: NodeId a, Inputs: okk"),
        ),
    ),
    (
        graph(a={"agent": ":okk"}),
        *(
            "unknown-node",
            "nodes.a.agent",
            "did you mean 'ok'?",
            coloured("Agent not match: NodeId a, Inputs: okk"),
        ),
    ),
    (
        graph(a={"update": "ok"}),
        *("not-a-reference", "nodes.a.update", "write ':node.prop'", coloured("Update it a literal")),
    ),
    (
        graph(a={"update": ":okk"}),
        *(
            "unknown-node",
            "nodes.a.update",
            "did you mean 'ok'?",
            coloured("Update not match: NodeId a, update: :okk"),
        ),
    ),
    (
        graph(a=copy(inputs="text")),
        *("inputs", "nodes.a.inputs", "name each input", "sources must be array!! maybe inputs is invalid"),
    ),
    (
        graph(a=copy(unless="literal")),
        *("not-a-reference", "nodes.a.unless", "write ':node.prop'", "Invalid data source literal"),
    ),
    (
        graph(a=copy(graph="x")),
        "not-a-reference",
        "nodes.a.graph",
        "write ':node.prop'",
        "Invalid data source x",
    ),
    (
        graph(a=copy(passThrough=5)),
        *(
            "pass-through",
            "nodes.a.passThrough",
            "name what is passed through: passThrough: {key: ':node'}",
            "TypeError",
        ),
    ),
    (
        graph(a=copy(passThrough={"x": ":okk"})),
        *(
            "unknown-node",
            "nodes.a.passThrough",
            "did you mean 'ok'?",
            "createNode: invalid input okk for node, a",
        ),
    ),
    (
        graph(a=copy(inputs=[":ok"])),
        *("array-inputs", "nodes.a.inputs", "name each input: inputs: {array: [...]}"),
        "array inputs have been deprecated. nodeId: a: see "
        "https://github.com/receptron/graphai/blob/main/docs/NamedInputs.md",
    ),
    # what can never run
    (
        {"nodes": {"a": {"value": 1}}},
        *("nothing-starts", "nodes", "give one node an agent whose inputs are static or absent"),
        coloured("No Initial Runnning Node"),
    ),
    (
        graph(a=copy(inputs={"x": ":b"}), b=copy(inputs={"x": ":a"}), c=copy(inputs={"x": ":b"})),
        *("cycle", "nodes.a", "break the cycle; to feed a result into the next pass use loop and update"),
        coloured("Some nodes are not executed: a, b, c"),
    ),
    (
        {**graph(), "loop": {"while": "yes"}},
        *("endless-loop", "loop.while", "refer to a node, such as ':counter.again', or use loop.count", ""),
    ),
]


@pytest.mark.parametrize(("data", "code", "place", "hint", "graphai"), PROBLEMS)
def test_problem(data: Any, code: str, place: str, hint: str, graphai: str) -> None:
    actual = list(problems(data, AGENTS))
    assert [(problem.code, problem.place, problem.hint, problem.graphai) for problem in actual] == [
        (code, place, hint, graphai)
    ]
    assert actual[0].finding


ACCEPTED: list[Any] = [
    graph(),
    {**graph(), "loop": None, "concurrency": {"global": 2, "labels": {"a": 1}}},
    {**graph(), "loop": {"while": ":ok"}, "version": "x", "metadata": [], "verbose": 1, "agentId": None},
    graph(a={"value": 1, "update": ":ok", "isResult": True, "console": True}, b=[]),
    graph(a=copy(inputs="x ${:ok}", passThrough="${:ok}")),
    graph(a=copy(inputs={"x": [":ok", {"y": "${:ok.k} @loop"}], "z": ":"}, passThrough={"p": ":ok"})),
    graph(a=copy(inputs=None, passThrough=0, graph={"nodes": 5}, **{"if": "", "unless": ":ok"})),
    graph(a={"agent": "anything", "queue": "gpu", "placement": "local", "backoff": 2.5}),
    graph(a={"agent": ":ok.agent"}),
]


@pytest.mark.parametrize("data", ACCEPTED)
def test_accepted(data: Any) -> None:
    assert list(problems(data, AGENTS)) == []
    assert first_problem(data) is None


def test_any_agent_is_accepted_where_none_are_known() -> None:
    assert list(problems(graph(a={"agent": "whoever"}))) == []


def test_problems_come_in_the_order_in_which_graphai_meets_them() -> None:
    data = {
        "nodes": {
            "b": copy(inputs={"x": ":zz"}, passThrough={"y": ":yy"}),
            "2": copy(**{"if": "literal"}),
            "1": {"agent": "who"},
            "s": {"update": "x", "extra": 1},
        },
        "loop": {"while": "x"},
        "extra": 1,
    }
    actual = [(problem.code, problem.place) for problem in problems(data, AGENTS)]
    assert actual == [
        ("unknown-key", "extra"),
        ("unknown-key", "nodes.s.extra"),
        ("unknown-agent", "nodes.1.agent"),
        ("unknown-node", "nodes.b.inputs"),
        ("not-a-reference", "nodes.s.update"),
        ("not-a-reference", "nodes.2.if"),
        ("unknown-node", "nodes.b.passThrough"),
        ("endless-loop", "loop.while"),
    ]


def test_a_node_that_is_none_ends_the_checks() -> None:
    codes = [problem.code for problem in problems(graph(a=None, b=copy(inputs={"x": ":zz"})), AGENTS)]
    assert codes == ["not-a-node"]


def test_a_graph_in_which_nothing_starts_names_the_cycle_too() -> None:
    data = {"nodes": {"a": copy(inputs={"x": ":b"}), "b": copy(inputs={"x": ":a"})}}
    first, second = problems(data, AGENTS)
    assert (first.code, second.code) == ("nothing-starts", "cycle")
    assert second.finding == "these nodes wait for each other: a <- b <- a"


def test_an_endless_loop_is_no_reason_to_refuse() -> None:
    assert first_problem({**graph(), "loop": {"while": True}}) is None
    assert first_problem(graph(a=[1])) == Problem(
        "unknown-key",
        "nodes.a.0",
        "a static node has no key '0'",
        "there is: console, isResult, update, value",
        graphai=coloured("Static node does not allow 0"),
    )


OLD: dict[str, Any] = {"agentId": "copyAgent", "inputs": {}}
NEW: dict[str, Any] = {"agent": "copyAgent", "inputs": {}}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"nodes": {"a": OLD}}, {"nodes": {"a": NEW}}),
        ({"nodes": {"a": {**OLD, "agent": "x"}}}, {"nodes": {"a": {**OLD, "agent": "x"}}}),
        (
            {"nodes": {"a": {"agentId": "nestedAgent", "graph": {"nodes": {"b": OLD}}}}},
            {"nodes": {"a": {"agent": "nestedAgent", "graph": {"nodes": {"b": NEW}}}}},
        ),
        ({"nodes": {"a": None, "b": {"value": 1}}}, {"nodes": {"a": None, "b": {"value": 1}}}),
        ({"nodes": []}, {"nodes": []}),
        ("x", "x"),
    ],
)
def test_old_examples_say_agent_id(old: Any, new: Any) -> None:
    assert modernized(old) == new


def test_a_number_beyond_all_doubles() -> None:
    assert {problem.code for problem in problems({**graph(), "concurrency": 10**400})} == {
        "concurrency",
        "bounds",
    }


@pytest.mark.parametrize(
    "hedge", [5, {}, {"after": 0}, {"after": "5"}, {"after": 5, "queue": ""}, {"after": 5, "to": "x"}]
)
def test_hedges_that_make_no_sense(hedge: Any) -> None:
    codes = [problem.code for problem in problems({"nodes": {"a": {"agent": "x", "hedge": hedge}}})]
    assert codes == ["hedge"]


@pytest.mark.parametrize(
    "keys",
    [
        {"session": None},
        {"session": ""},
        {"session": {"checkpoint": 5}},
        {"session": {"id": "a", "checkpoint": 0}},
        {"session": {"id": "a", "checkpoint": 101}},
        {"session": {"id": "a", "checkpoint": 1.5}},
        {"session": {"id": "a", "lossy": 1}},
        {"session": {"id": "a", "worker": "w"}},
        {"session": "a", "batch": 10},
        {"session": "a", "hedge": {"after": 5}},
        {"session": "a", "placement": "local"},
    ],
)
def test_sessions_that_make_no_sense(keys: dict[str, Any]) -> None:
    codes = [problem.code for problem in problems({"nodes": {"a": {"agent": "x", **keys}}})]
    assert codes == ["session"]


def test_sessions_that_make_sense() -> None:
    for session in ("a", 7, ":b.id", {"id": ":b.id", "checkpoint": 100, "lossy": False}):
        assert list(problems({"nodes": {"b": {"value": {}}, "a": {"agent": "x", "session": session}}})) == []


def test_references_of_fallbacks_and_hedges_are_checked() -> None:
    node = {"agent": "x", "hedge": {"after": 5, "queue": ":no.queue"}, "fallback": [":none"]}
    places = [(problem.code, problem.place) for problem in problems({"nodes": {"a": node}})]
    assert places == [("unknown-node", "nodes.a.fallback"), ("unknown-node", "nodes.a.hedge")]
