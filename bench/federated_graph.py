"""The graph of federated averaging that benchmarks and tests run: a map of sites in a loop of rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Node = Mapping[str, Any]


def rounds(
    sites: Sequence[Any],
    loop: Node,
    *,
    fit: Node,
    average: Node | None = None,
    map_params: Node | None = None,
    more: Node | None = None,
    start: Node | None = None,
    output: Node,
) -> dict[str, Any]:
    """The document. A row of the map is a site; its id is its member `id`, or the row where it has none.

    `fit` and `average` are merged into their nodes, `map_params` into the params of the map, `more` are
    further nodes of a round, `start` the params of the model, `output` what the run shows of the last round.
    """
    has_ids = isinstance(sites[0], Mapping)
    fitting: dict[str, Any] = {
        "agent": "fedTrainAgent",
        "inputs": {"weights": ":weights", "round": ":round", "site": ":row.id" if has_ids else ":row"},
        "isResult": True,
        **fit,
    }
    quorum = {"quorum", "deadline"} & {*(map_params or {})}
    updates = ":updates.rows" if quorum else ":updates"
    averaging: dict[str, Any] = {"agent": "fedAverageAgent", **(average or {})}
    inputs = {"updates": updates, "weights": ":weights", "round": "@loop"}
    nodes: dict[str, Any] = {
        "weights": {"update": ":average.weights"},
        "updates": {
            "agent": "mapAgent",
            "inputs": {"rows": ":sites", "weights": ":weights", "round": "@loop"},
            "params": {"compositeResultKey": "fit", **(map_params or {})},
            "graph": {"nodes": {"fit": fitting}},
        },
        "average": {**averaging, "inputs": {**inputs, **averaging.get("inputs", {})}},
        **(more or {}),
    }
    outer: dict[str, Any] = {
        "start": {"agent": "fedInitAgent", "params": start or {}},
        "sites": {"value": [*sites]},
        "rounds": {
            "agent": "nestedAgent",
            "inputs": {"weights": ":start.weights", "sites": ":sites"},
            "output": output,
            "isResult": True,
            "graph": {"loop": loop, "nodes": nodes},
        },
    }
    return {"version": 0.5, "nodes": outer}
