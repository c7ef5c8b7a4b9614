"""What a table holds, what tables of its kind should hold, and where one does not.

The three steps of TensorFlow Data Validation (Breck and others, "Data Validation for Machine Learning",
2019): statistics of a table, a schema inferred from them and then pinned by people, anomalies of another
table against that schema.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from perdure.agents.distributed.maths.tables import Column, length
from perdure.agents.distributed.maths.tensors import Array
from perdure.errors import FinalError
from perdure.graph.values import is_dict

MAX_DOMAIN_COUNT: Final = 100
"""Different strings up to which a column is taken to have no others."""

_SHOWN_COUNT: Final = 5
"""Values that an anomaly names."""

_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


def statistics(columns: Mapping[str, Column]) -> dict[str, Any]:
    """{n, columns}: for each column how many values are missing, and how the others are spread."""
    return {
        "n": length(columns),
        "columns": {
            name: _numbers(column) if isinstance(column, np.ndarray) else _strings(column)
            for name, column in columns.items()
        },
    }


def _numbers(column: Array) -> dict[str, Any]:
    there = column[~np.isnan(column)]
    counts = {"kind": "number", "missing": int(column.size - there.size), "count": int(there.size)}
    if not there.size:
        return counts
    return {
        **counts,
        "min": float(there.min()),
        "max": float(there.max()),
        "mean": float(there.mean()),
        "deviation": float(there.std()),
        "zeros": int((there == 0).sum()),
        "quantiles": {f"{share:g}": float(np.quantile(there, share)) for share in _QUANTILES},
    }


def _strings(column: list[str | None]) -> dict[str, Any]:
    counts = Counter(value for value in column if value is not None)
    listed = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: MAX_DOMAIN_COUNT + 1]
    return {
        "kind": "string",
        "missing": len(column) - counts.total(),
        "count": counts.total(),
        "unique": len(counts),
        "values": dict(listed),
    }


def inferred(profile: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of tables like this one: {columns: {name: {kind, required, values}}}.

    A column is required if no value is missing. A column of few strings admits those only. Bounds of numbers
    are not inferred: the next extreme is not an error. People pin them where they know them.
    """
    return {"columns": {name: _rule(known) for name, known in profile["columns"].items()}}


def _rule(known: Mapping[str, Any]) -> dict[str, Any]:
    rule: dict[str, Any] = {"kind": known["kind"], "required": known["missing"] == 0 and known["count"] > 0}
    if known["kind"] == "string" and 0 < known["unique"] <= min(MAX_DOMAIN_COUNT, known["count"] // 2):
        rule["values"] = sorted(known["values"])
    return rule


def pinned(schema: Mapping[str, Any], pins: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with what people know better: `pins` are members of rules by column, null drops a column.

    Raises FinalError for a pin that is not a rule.
    """
    columns = dict(schema["columns"])
    for name, pin in pins.items():
        if pin is None:
            columns.pop(name, None)
        elif is_dict(pin) and set(pin) <= {"kind", "required", "values", "min", "max"}:
            columns[name] = {"kind": "number", "required": False, **columns.get(name, {}), **pin}
        else:
            raise FinalError(
                f"pinned.{name}: expected kind, required, values, min or max, got {str(pin)[:60]}",
            )
    return {"columns": columns}


def anomalies(profile: Mapping[str, Any], schema: Mapping[str, Any]) -> list[dict[str, str]]:
    """What of a table its schema does not admit: {column, kind, finding}, by the order of the schema."""
    listed: list[dict[str, str]] = []
    if not profile["n"]:
        listed.append({"column": "", "kind": "empty", "finding": "the table has no rows"})
    for name, rule in schema["columns"].items():
        known = profile["columns"].get(name)
        for kind, finding in _against(known, rule):
            listed.append({"column": name, "kind": kind, "finding": finding})
    for name in profile["columns"]:
        if name not in schema["columns"]:
            listed.append({"column": name, "kind": "unexpected", "finding": "the schema has no such column"})
    return listed


def _against(known: Mapping[str, Any] | None, rule: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if known is None or not known["count"]:
        if rule["required"]:
            yield "missing", "the column is missing" if known is None else "the column has no values"
        return
    if known["kind"] != rule["kind"]:
        yield "kind", f"holds {known['kind']}s, expected {rule['kind']}s"
        return
    if rule["required"] and known["missing"]:
        yield "missing", f"{known['missing']} values are missing"
    if rule["kind"] == "number":
        if known["min"] < rule.get("min", -math.inf):
            yield "range", f"the least is {known['min']:g}, below {rule['min']:g}"
        if known["max"] > rule.get("max", math.inf):
            yield "range", f"the largest is {known['max']:g}, above {rule['max']:g}"
    elif "values" in rule:
        others = sorted(set(known["values"]) - set(rule["values"]))
        if others:
            shown = ", ".join(map(repr, others[:_SHOWN_COUNT])) + (", ..." if others[_SHOWN_COUNT:] else "")
            yield "values", f"values that are not admitted: {shown}"
