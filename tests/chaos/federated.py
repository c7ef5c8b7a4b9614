"""The graph of the scenarios in which sites train one model: federated averaging over a map of sites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def graph(
    sites: int, rounds: int, *, placed: bool = True, enough: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Each site has a queue of its own if they are `placed`. The result has the digest of the weights.

    With `enough`, the quorum and the times of the map, rounds end without some sites, and the result has a
    `log` of the sites of each round; otherwise it has the accuracy.
    """
    fit: dict[str, Any] = {
        "agent": "fedTrainAgent",
        "heartbeat": 2,
        "inputs": {"weights": ":weights", "round": ":round", "site": ":row.id"},
        "params": {"data": "digits"},
        "isResult": True,
    }
    if placed:
        fit["queue"] = ":row.queue"
    nodes: dict[str, Any] = {
        "weights": {"update": ":average.weights"},
        "updates": {
            "agent": "mapAgent",
            "inputs": {"rows": ":sites", "weights": ":weights", "round": "@loop"},
            "params": {"compositeResultKey": "fit", **(enough or {})},
            "graph": {"nodes": {"fit": fit}},
        },
        "average": {
            "agent": "fedAverageAgent",
            "heartbeat": 2,
            "inputs": {
                "updates": ":updates" if enough is None else ":updates.rows",
                "weights": ":weights",
                "round": "@loop",
            },
        },
        **(_scored(rounds) if enough is None else _logged()),
    }
    shown = ("accuracy", "digest") if enough is None else ("digest", "log")
    outer: dict[str, Any] = {
        "start": {"agent": "fedInitAgent", "params": {"model": "softmax", "seed": 1}},
        "sites": {"value": [{"id": number, "queue": f"site-{number}"} for number in range(sites)]},
        "rounds": {
            "agent": "nestedAgent",
            "inputs": {"weights": ":start.weights", "sites": ":sites"},
            "output": {name: f".score.{name}" for name in shown},
            "isResult": True,
            "graph": {
                "loop": {"while": ":score.more"} if enough is None else {"count": rounds},
                "nodes": nodes,
            },
        },
    }
    return {"version": 0.5, "concurrency": 6 * sites, "nodes": outer}


def _scored(rounds: int) -> dict[str, Any]:
    score = {
        "agent": "fedEvaluateAgent",
        "heartbeat": 2,
        "inputs": {"weights": ":average.weights", "round": "@loop"},
        "params": {"data": "heldOut", "rounds": rounds},
        "isResult": True,
    }
    return {"score": score}


def _logged() -> dict[str, Any]:
    record = {"round": "@loop", "accepted": ":average.accepted", "missing": ":updates.missing"}
    return {
        "log": {"value": [], "update": ":noted.array"},
        "noted": {"agent": "pushAgent", "inputs": {"array": ":log", "item": record}},
        "score": {
            "agent": "copyAgent",
            "inputs": {"digest": ":average.digest", "log": ":noted.array"},
            "isResult": True,
        },
    }
