"""Small random graphs that make a scheduler sweat; what agents return is decided by the simulation."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

LABELS = ("gpu", "net")


def parts(count: int) -> list[Any]:
    """The numbers of the parts into which a test divides its seeds: all but the first one are long."""
    return [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, count))]


def make_graph(random: Random) -> dict[str, Any]:
    """A valid graph. About half of them hold graphs inside nodes; every third has a loop."""
    graph = _graph(random, depth=0, outer=())
    if random.random() < 0.7:
        graph["concurrency"] = random.choice((1, 1, 2, 3))
    if random.random() < 0.3:
        limits = {label: random.choice((1, 1, 2)) for label in LABELS if random.random() < 0.8}
        graph["concurrency"] = {"global": random.choice((1, 2, 4)), "labels": limits}
    return graph


def is_order_free(document: dict[str, Any]) -> bool:
    """Whether the order of answers cannot matter: nothing is decided by the first of several."""
    return is_calm(document) and not any("anyInput" in node for node in every_node(document))


def is_calm(document: dict[str, Any]) -> bool:
    """Whether the order of answers cannot change which nodes run.

    It can where a node with anyInput has a condition, which may come too late; by which row of a map
    fails first; and where a graph is retried, for which there may be no slot.
    """
    nodes = every_node(document)
    hasty = any("anyInput" in node and ("if" in node or "unless" in node) for node in nodes)
    crowded = any("retry" in node and "graph" in node for node in nodes)
    return not hasty and not crowded and not any(node.get("agent") == "mapAgent" for node in nodes)


def every_node(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes of a graph and of all graphs inside."""
    nodes = list(document["nodes"].values())
    return nodes + [inner for node in nodes if "graph" in node for inner in every_node(node["graph"])]


def has_graphs(document: dict[str, Any]) -> bool:
    return any("graph" in node for node in document["nodes"].values())


def _graph(random: Random, depth: int, outer: tuple[str, ...]) -> dict[str, Any]:
    nodes: dict[str, Any] = {"yes": {"value": True}, "no": {"value": 0}, "rows": {"value": [1, 2, 3]}}
    names = [*outer, *nodes]
    for index in range(random.randint(1, 8 if depth == 0 else 4)):
        name = f"n{index}"
        nodes[name] = _node(random, names, depth)
        names.append(name)
    if random.random() < 0.4:
        nodes = {name: nodes[name] for name in random.sample(list(nodes), len(nodes))}
    graph: dict[str, Any] = {"version": 0.5, "nodes": nodes}
    if random.random() < (0.3 if depth == 0 else 0.15):
        graph["loop"] = {"count": random.randint(1, 3)}
        nodes["again"] = {"value": 1, "update": f":{random.choice(names)}.flag"}
    return graph


def _node(random: Random, names: list[str], depth: int) -> dict[str, Any]:
    sources = random.sample(names, min(len(names), random.randint(0, 3)))
    props = ("", "", ".v", ".flag", ".missing")
    inputs: dict[str, Any] = {
        f"i{index}": f":{name}{random.choice(props)}" for index, name in enumerate(sources)
    }
    node: dict[str, Any] = {"agent": "work", "inputs": inputs, "isResult": random.random() < 0.5}
    kind = random.random()
    if depth < 2 and kind < 0.12:
        node |= {
            "agent": "nestedAgent",
            "graph": _graph(random, depth + 1, ("u",)),
            "inputs": {"u": f":{names[-1]}"},
        }
    elif depth < 2 and kind < 0.24:
        graph = _graph(random, depth + 1, ("row", "u"))
        node |= {
            "agent": "mapAgent",
            "graph": graph,
            "inputs": {"u": 5, "rows": random.choice((":rows", [1, 2]))},
        }
        node["params"] = {"compositeResult": random.random() < 0.5}
    extras: dict[str, tuple[float, Any]] = {
        "if": (0.1, f":{random.choice(names)}.flag"),
        "unless": (0.1, f":{random.choice(names)}"),
        "anyInput": (0.1, True),
        "retry": (0.15, random.randint(1, 2)),
        "priority": (0.15, random.randint(-1, 2)),
        "label": (0.25, random.choice(LABELS)),
        "timeout": (0.1, 50),
        "passThrough": (0.05, {"passed": f":{random.choice(names)}.v"}),
        "repeatUntil": (0.05, {"exists": ".v"}),
    }
    node |= {key: value for key, (chance, value) in extras.items() if random.random() < chance}
    if ("if" in node or "unless" in node) and random.random() < 0.5:
        node["defaultValue"] = {"flag": True, "v": 9}
    return node
