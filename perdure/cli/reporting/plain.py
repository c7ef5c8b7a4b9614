"""The report for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from perdure.history.measures.calls import CallMeasures
from perdure.history.measures.report import Measures
from perdure.history.measures.shares import Quantiles


def plain(measures: Measures, named: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers: times in seconds; what is not known is null."""
    traffic = measures.traffic
    return {
        "states": dict(measures.states),
        "latency": asdict(measures.latency),
        "time": asdict(measures.split),
        "agents": {name: _calls(group) for name, group in sorted(measures.agents.items())},
        "hosts": {name: _calls(group) for name, group in sorted(measures.hosts.items())},
        "bytes": asdict(traffic) | {"overhead": traffic.overhead},
        "tokens": measures.spent.tokens,
        "money": measures.money,
        "evaluations": [asdict(evaluation) for evaluation in measures.evaluations],
        **{name: asdict(fact) if isinstance(fact, Quantiles) else fact for name, fact in named.items()},
    }


def _calls(calls: CallMeasures) -> dict[str, Any]:
    counts = {name: getattr(calls, name) for name in ("calls", "attempts", "lost", "failed", "returned")}
    times = {"waiting": asdict(calls.waits), "working": asdict(calls.work), "hours": calls.hours}
    rates = {name: getattr(calls, name) for name in ("losses_per_hour", "mtbf_s", "mttr_s")}
    return {**counts, **times, "transfer_s": sum(calls.transfer), "bytes": calls.byte_count, **rates}
