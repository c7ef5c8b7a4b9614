"""The graph of the scenarios in which sites train one model: federated averaging over a map of sites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.federated_graph import rounds as rounds_of


def graph(
    sites: int, rounds: int, *, placed: bool = True, enough: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Each site has a queue of its own if they are `placed`. The result has the digest of the weights.

    With `enough`, the quorum and the times of the map, rounds end without some sites, and the result has a
    `log` of the sites of each round; otherwise it has the accuracy.
    """
    queue = {"queue": ":row.queue"} if placed else {}
    shown = ("accuracy", "digest") if enough is None else ("digest", "log")
    document = rounds_of(
        [{"id": number, "queue": f"site-{number}"} for number in range(sites)],
        {"while": ":score.more"} if enough is None else {"count": rounds},
        fit={"heartbeat": 2, "params": {"data": "digits"}, **queue},
        average={"heartbeat": 2},
        map_params=enough,
        more=_scored(rounds) if enough is None else _logged(),
        start={"model": "softmax", "seed": 1},
        output={name: f".score.{name}" for name in shown},
    )
    return {**document, "concurrency": 6 * sites}


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
