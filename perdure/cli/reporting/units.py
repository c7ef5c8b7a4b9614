"""What a unit took that runs have processed, how many were wrong, and how many were before."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perdure.errors import UsageError
from perdure.graph.values import is_dict
from perdure.history.measures.report import Measures, decision_times, sum_at
from perdure.history.measures.shares import Quantiles, Share
from perdure.history.model import RunModel


def check_options(args: argparse.Namespace) -> None:
    """Raises UsageError for options that need others."""
    pairs = (
        ("errors", "unit", "errors are a share of the units: name both"),
        ("baseline", "errors", "name the errors of these runs: --errors NODE.PROP"),
        ("event", "decision", "name the node whose end is the decision: --decision NODE"),
        ("decision", "event", "name the time of the event: --event NODE.PROP"),
    )
    for option, needed, hint in pairs:
        if getattr(args, option) and not getattr(args, needed):
            raise UsageError(f"--{option} needs --{needed}", hint=hint)


def baseline_of(file: str) -> Share:
    """The errors and units of before. Raises UsageError."""
    try:
        data: Any = json.loads(Path(file).read_bytes())
    except ValueError as error:
        raise UsageError(f"{file}: it is not JSON: {error}") from error
    errors, units = [data.get(name) if is_dict(data) else None for name in ("errors", "units")]
    if isinstance(errors, int | float) and isinstance(units, int | float) and 0 <= errors <= units and units:
        return Share(errors, units)
    hint = '{"errors": 40, "units": 1000}'
    raise UsageError(f"{file}: a baseline has the errors and the units of before", hint=hint)


def named_facts(
    args: argparse.Namespace, models: Sequence[RunModel], measures: Measures, before: Share | None
) -> dict[str, Any]:
    """What follows from the nodes that the user names; empty where none is named. Raises UsageError."""
    facts: dict[str, Any] = {}
    if args.event:
        facts["decision"] = Quantiles.of(decision_times(models, args.event, args.decision))
    if not args.unit:
        return facts
    count = sum_at(models, args.unit)
    if count <= 0:
        raise UsageError(f"--unit {args.unit}: the runs have processed no units")
    facts |= {
        "units": count,
        "worker_seconds_per_unit": measures.worker_hours * 3600 / count,
        "tokens_per_unit": measures.spent.tokens / count,
        "money_per_unit": measures.money / count,
    }
    if args.errors:
        now = Share(sum_at(models, args.errors), count)
        facts["error_rate"] = {"value": now.value, "interval": now.interval}
        if before is not None:
            facts["baseline"] = {"file": args.baseline, "value": before.value, "interval": before.interval}
        if before is not None and before.value:
            facts["error_reduction_percent"] = 100 * (before.value - now.value) / before.value
    return facts
