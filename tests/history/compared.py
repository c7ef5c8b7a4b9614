"""The figures of the product, and those that other code computes from the exported histories."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from temporalio.client import WorkflowHistory

from perdure.cli.reporting.plain import plain
from perdure.engine.granting.prices import Prices
from perdure.history.measures.report import measures_of
from perdure.history.read import replayed
from perdure.plugin import data_converter
from tests.history.raw_figures import MODEL, figures, wilson

RATES = {"worker_hour": 3.5, "gigabyte": 0.09, "run": 0.0025}
TOKENS = {"input": 1.25, "output": 10.0}
TABLE = {MODEL: TOKENS, "rates": RATES}


async def differences(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[int, list[str]]:
    """How many figures there are of these runs, and those that differ.

    Each run has the histories of its executions, as exported.
    """
    models = [
        await replayed(
            [WorkflowHistory.from_json(id, dict(item)) for item in histories], data_converter(None)
        )
        for id, histories in runs.items()
    ]
    made = plain(measures_of(models, Prices.read(TABLE, "prices")), {})
    evaluations = made.pop("evaluations")
    time = made["time"]
    time["rest"] = time.pop("asked") + time.pop("other")
    raw = figures(json.loads(json.dumps(runs)), {**TOKENS, **RATES})
    product, other = flat(made), flat(raw)
    differing = [
        f"{name}: the product says {product.get(name)}, the histories {other.get(name)}"
        for name in sorted(product.keys() | other.keys())
        if not same(product.get(name), other.get(name))
    ]
    for item in evaluations:
        bounds = wilson(item["value"], item["n"])
        if not all(map(same, item["interval"] or bounds, bounds)):
            differing.append(f"{item['address']}: the interval is {item['interval']}, and should be {bounds}")
    return len(product) + 2 * len(evaluations), differing


def flat(value: Any, place: str = "") -> dict[str, Any]:
    """The leaves by their places; a group without members is not there."""
    if isinstance(value, dict):
        return {
            name: leaf for key, item in value.items() for name, leaf in flat(item, f"{place}.{key}").items()
        }
    return {place: value}


def same(left: Any, right: Any) -> bool:
    if isinstance(left, int | float) and isinstance(right, int | float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-6)
    return left == right
