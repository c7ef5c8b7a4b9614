"""Random cases: a graph, what is wrong with some, and how they are run."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from tests.differential.draw import Draw
from tests.differential.graphs import Graphs

COMPUTED_KEYS = (
    *("inputs", "params", "output", "passThrough", "anyInput", "if", "unless", "defaultValue", "retry"),
    *("repeatUntil", "graph", "graphLoader", "filterParams", "isResult", "label", "console", "agent"),
)


def make_case(seed: int) -> dict[str, Any]:
    """The case of a seed, in the format of the recorded ones."""
    draw = Draw(Random(seed))
    graphs = Graphs(draw)
    graph, _ = graphs.graph()
    case: dict[str, Any] = {
        "name": f"seed {seed}",
        "category": "differential",
        "timeoutMs": 300,
        "graph": graph,
    }
    options, injects = _options(draw, graphs, graph), _injects(draw, graph)
    if draw.chance(0.12):
        _distort(draw, graph)
    if draw.chance(0.06):
        _break(draw, graph)
    if options:
        case["options"] = options
    if injects:
        case["injects"] = injects
    if graphs.mocks.specs:
        case["mocks"] = graphs.mocks.specs
    return case


def _options(draw: Draw, graphs: Graphs, graph: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    names = list(graph["nodes"])
    if graphs.loaded and draw.chance(0.9):
        options["graphs"] = graphs.loaded
    if draw.chance(0.04):
        options["config"] = {"global": {"g": 1}, "mockContext": {"m": 2, "g": 3}, "copyAgent": "ab"}
    if draw.chance(0.15 if "loop" in graph else 0.02):
        options["forceLoop"] = True
    if draw.chance(0.08 if "loop" in graph else 0.02):
        options["loopCount"] = draw.pick((1, 2, 3, 0))
    if draw.chance(0.05):
        options["previousResults"] = {draw.pick(names): draw.value() for _ in range(draw.count(0, 3))}
    if draw.chance(0.03):
        options["bypassAgentIds"] = ["bypassed", "copyAgent"]
        computed = [node for node in graph["nodes"].values() if "agent" in node]
        draw.pick(computed)["agent"] = "bypassed"
    return options


def _injects(draw: Draw, graph: dict[str, Any]) -> list[dict[str, Any]]:
    if not draw.chance(0.12):
        return []
    statics = [
        name for name, node in graph["nodes"].items() if isinstance(node, dict) and "agent" not in node
    ]
    names = [*statics, "__loopIndex"] if draw.chance(0.05) else statics
    if draw.chance(0.03):
        names = [*graph["nodes"], "absent"]
    if not names:
        return []
    injects = [{"nodeId": draw.pick(names), "value": draw.value()} for _ in range(draw.count(1, 2))]
    if draw.chance(0.03):
        del injects[0]["value"]
    return injects


def _every_node(graph: dict[str, Any]) -> list[dict[str, Any]]:
    """All nodes, those of graphs inside nodes included."""
    nodes = [node for node in graph["nodes"].values() if isinstance(node, dict)]
    inner = [
        node["graph"] for node in nodes if isinstance(node.get("graph"), dict) and "nodes" in node["graph"]
    ]
    return nodes + [node for graph in inner for node in _every_node(graph)]


def _distort(draw: Draw, graph: dict[str, Any]) -> None:
    """Gives a key of some node a value of a kind that it does not expect."""
    computed = [node for node in _every_node(graph) if "agent" in node]
    node = draw.pick(computed)
    key = draw.pick(COMPUTED_KEYS)
    if key == "isResult" and any(other.get("agent") == "mockContext" for other in computed):
        return  # its debugInfo shows the value as it was written, which none of our agents sees
    value = draw.weird()
    if key in ("inputs", "passThrough", "output") and draw.chance(0.5):
        value = draw.pick(("a ${:a} b", "ab", "${:zz}", ["x", ":a"], ".k", {"params": {"x": 1}}))
    if key == "repeatUntil" and draw.chance(0.7):
        value = {"exists": draw.weird()}
    if key == "graphLoader" and draw.chance(0.7):
        value = {"fileName": draw.weird()}
    if key == "console" and draw.chance(0.7):
        value = {draw.pick(("before", "after")): draw.weird()}
    if key in ("params", "defaultValue", "isResult", "anyInput", "retry") or draw.chance(0.5):
        node[key] = value
    elif isinstance(node.get("params"), dict):
        keys = (
            "limit",
            "rowKey",
            "expandKeys",
            "resultNodeId",
            "supressError",
            "compositeResultKey",
            "namedKey",
        )
        node["params"][draw.pick(keys)] = value


def _break(draw: Draw, graph: dict[str, Any]) -> None:
    """Makes a graph that GraphAI refuses, mostly."""
    nodes = graph["nodes"]
    names = list(nodes)
    name = draw.pick(names)
    node = nodes[name] if isinstance(nodes[name], dict) else {}
    computed = [spec for spec in nodes.values() if isinstance(spec, dict) and "agent" in spec]
    some = draw.pick(computed) if computed else {}

    def put(where: dict[str, Any], key: str, value: Any) -> Callable[[], Any]:
        return lambda: where.__setitem__(key, value)

    breaks: list[Callable[[], Any]] = [
        put(graph, "nodes", draw.pick((None, [], {}, "x", 5, [{"value": 1}]))),
        lambda: graph.pop("nodes", None),
        put(graph, draw.pick(("retry", "hello", "2")), 1),
        put(
            graph,
            "loop",
            draw.pick(({}, {"count": 1, "while": ":a"}, True, "x", [], {"count": None, "while": None})),
        ),
        put(
            graph,
            "concurrency",
            draw.pick((0, -1, 1.5, "2", None, [], True, {}, {"global": 0}, {"global": 2, "x": 1})),
        ),
        put(
            graph,
            "concurrency",
            {"global": 2, "labels": draw.pick((None, [], "x", {"a": 0}, {"a": "1"}, {"a": 1.5}))},
        ),
        put(nodes, name, draw.pick((None, 5, "x", True, [], [1], {}))),
        put(node, draw.pick(("agentId", "update", "value", "extra", "console", "1", "label")), draw.weird()),
        put(some, "agent", draw.pick(("absent", "", None, 5, [], {}, ":absent", ":", True, "constructor"))),
        put(some, "inputs", draw.pick(([":a"], "x", 5, True, "x ${:a}", "${:absent}", [], 0, "", False))),
        put(some, "inputs", {"x": draw.pick((":absent", "${:absent.k}", [{"k": ":absent"}]))}),
        put(some, "inputs", {"x": f":{name}"}),
        put(
            some,
            draw.pick(("if", "unless", "graph")),
            draw.pick(("x", True, 5, ":absent", "${:a}", ":", "@loop", [], {})),
        ),
        put(some, "passThrough", {"x": draw.pick((":absent", "${:absent}", f":{name}"))}),
        put(node, "update", draw.pick(("x", ":absent", 5, True, ":", "${:a}", "@loop", []))),
        put(graph, "nodes", {"a": {"value": 1}}),
        put(
            graph,
            "nodes",
            {
                "a": {"agent": "copyAgent", "inputs": {"x": ":b"}},
                "b": {"agent": "copyAgent", "inputs": {"x": ":a"}},
            },
        ),
        put(some, "label", draw.weird()),
    ]
    for _ in range(draw.count(1, 2)):
        draw.pick(breaks)()
