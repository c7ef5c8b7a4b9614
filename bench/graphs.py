"""The graphs that are measured, as documents."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]

TEN = {
    "a": ("source",),
    **dict.fromkeys(("b", "c", "d"), ("a",)),
    "e": ("b", "c", "d"),
    **dict.fromkeys(("f", "g", "h"), ("e",)),
    "i": ("f", "g", "h"),
    "j": ("i",),
}
"""The ten-node graph: what each node needs. Six of its nodes follow one upon another."""


def chain(size: int, agent: str) -> Document:
    """`size` nodes, each of which needs the one before it."""
    nodes: Document = {"s0": {"value": {"n": 0}}}
    for index in range(1, size + 1):
        nodes[f"s{index}"] = {"agent": agent, "inputs": {"n": f":s{index - 1}.n"}}
    nodes[f"s{size}"]["isResult"] = True
    return {"version": 0.5, "nodes": nodes}


def fan(size: int, agent: str, collector: str) -> Document:
    """`size` nodes that need the same one, and one that needs them all; all may run at once."""
    nodes: Document = {"source": {"value": {"n": 0}}}
    for index in range(size):
        nodes[f"w{index}"] = {"agent": agent, "inputs": {"n": ":source.n"}}
    items = [f":w{index}.n" for index in range(size)]
    nodes["all"] = {"agent": collector, "inputs": {"items": items}, "isResult": True}
    return {"version": 0.5, "concurrency": size, "nodes": nodes}


def rows(size: int, agent: str, concurrency: int, batch: int | None = None) -> Document:
    """A map of one agent over `size` rows, at most `concurrency` of them at once."""
    work: Document = {"agent": agent, "inputs": {"n": ":row"}, "isResult": True}
    if batch is not None:
        work["batch"] = batch
    mapper = {
        "agent": "mapAgent",
        "inputs": {"rows": ":source"},
        "params": {"compositeResult": True},
        "graph": {"nodes": {"work": work}},
        "isResult": True,
    }
    return {
        "version": 0.5,
        "concurrency": concurrency,
        "nodes": {"source": {"value": list(range(size))}, "map": mapper},
    }


def loop(size: int, agent: str) -> Document:
    """One node, `size` times, each time from what it gave before."""
    return {
        "version": 0.5,
        "loop": {"count": size},
        "nodes": {
            "at": {"value": {"n": 0}, "update": ":next"},
            "next": {"agent": agent, "inputs": {"n": ":at.n"}, "isResult": True},
        },
    }


def ten(agent: str) -> Document:
    """The ten-node graph TEN."""
    nodes: Document = {"source": {"value": {"n": 0}}}
    for name, needs in TEN.items():
        nodes[name] = {"agent": agent, "inputs": {need: f":{need}.n" for need in needs}}
    nodes["j"]["isResult"] = True
    return {"version": 0.5, "nodes": nodes}


def carry(size: int, agent: str, nodes: int = 10) -> Document:
    """A string of `size` bytes through a chain of nodes that give their inputs."""
    document = chain(nodes, agent)
    document["nodes"]["s0"]["value"] = {"n": "x" * size}
    return document


def nested(depth: int, agent: str) -> Document:
    """One node, in `depth` graphs inside each other."""
    document: Document = {"nodes": {"x": {"agent": agent, "inputs": {"n": 0}, "isResult": True}}}
    for _ in range(depth):
        document = {"nodes": {"x": {"agent": "nestedAgent", "graph": document, "isResult": True}}}
    return {"version": 0.5, **document}


def elsewhere(queue: str) -> Document:
    """One call that waits for a worker of `queue`."""
    return {"version": 0.5, "nodes": {"wait": {"agent": "step", "inputs": {"n": 0}, "queue": queue}}}
