"""How well runs went, in numbers: latency, failures of workers, bytes, tokens, cost of a unit."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure.cli import connection, output
from perdure.cli.progress.progress_table import duration
from perdure.cli.progress.spent import cost_text
from perdure.errors import UsageError
from perdure.graph.values import is_dict
from perdure.pictures.tables import tables_page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perdure.client import GraphClient
    from perdure.history.measures import CallMeasures, Measures, Quantiles, Share, TimeSplit
    from perdure.history.model import RunModel

EXAMPLES = """\
examples:
  perdure report nightly-3
  perdure report nightly-1 nightly-2 nightly-3 --unit rows.count
  perdure report nightly-3 --unit rows.count --errors checked.wrong --baseline before.json
  perdure report nightly-3 --html > report.html

A baseline says what the same process did before: {"errors": 40, "units": 1000}
"""
GROUPS = ("agents", "hosts")
CALL_COLUMN_TITLES = ("calls", "lost", "failed", "waiting p50 / p95", "working p50 / p95")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("ids", metavar="ID", nargs="+", help="runs, open or over")
    parser.add_argument("--unit", metavar="NODE.PROP", help="the number of units that a run processed")
    parser.add_argument("--errors", metavar="NODE.PROP", help="the number of wrong ones among them")
    parser.add_argument("--baseline", metavar="FILE", help="JSON with the errors and units of before")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON")
    form.add_argument("--html", action="store_true", help="as a page of HTML that needs nothing else")


def main(args: argparse.Namespace) -> int:
    """Reads the histories, and prints the numbers."""
    if args.errors and not args.unit:
        raise UsageError("--errors needs --unit", hint="errors are a share of the units: name both")
    if args.baseline and not args.errors:
        raise UsageError(
            "--baseline needs --errors", hint="name the errors of these runs: --errors NODE.PROP"
        )
    args.before = _baseline(args.baseline) if args.baseline else None
    return connection.with_client(_main, args)


async def _main(args: argparse.Namespace, client: GraphClient) -> int:
    from perdure.history.measures import measures_of  # noqa: PLC0415 -- loads what replays
    from perdure.history.spent import prices_of  # noqa: PLC0415 -- the same

    models = [await client.get(id).history() for id in args.ids]
    measures = measures_of(models, prices_of(client.settings))
    units = _units(args, models, measures)
    if args.html:
        tables = [("All runs", ("what", "value"), facts(measures, units))]
        tables += [
            (group, (group, *CALL_COLUMN_TITLES), call_rows(getattr(measures, group))) for group in GROUPS
        ]
        page = tables_page(f"Report: {', '.join(args.ids)}", asdict(measures.split), tables)
        output.result(page)
    elif args.json:
        output.result(output.json_text(plain(measures) | units))
    else:
        output.result("\n".join(lines(measures, units)))
    return 0


def _baseline(file: str) -> Share:
    from perdure.history.measures import Share  # noqa: PLC0415 -- loads what replays

    try:
        data: Any = json.loads(Path(file).read_bytes())
    except ValueError as error:
        raise UsageError(f"{file}: it is not JSON: {error}") from error
    errors, units = [data.get(name) if is_dict(data) else None for name in ("errors", "units")]
    if isinstance(errors, int | float) and isinstance(units, int | float) and 0 <= errors <= units and units:
        return Share(errors, units)
    hint = '{"errors": 40, "units": 1000}'
    raise UsageError(f"{file}: a baseline has the errors and the units of before", hint=hint)


def _units(args: argparse.Namespace, models: Sequence[RunModel], measures: Measures) -> dict[str, Any]:
    """What a unit took, and how many were wrong; empty where no units are named."""
    from perdure.history.measures import Share, sum_at  # noqa: PLC0415 -- loads what replays

    if not args.unit:
        return {}
    count = sum_at(models, args.unit)
    if count <= 0:
        raise UsageError(f"--unit {args.unit}: the runs have processed no units")
    worked = sum(sum(group.working) for group in measures.agents.values())
    facts: dict[str, Any] = {
        "units": count,
        "worker_seconds_per_unit": worked / count,
        "tokens_per_unit": measures.spent.tokens / count,
        "money_per_unit": measures.spent.money / count,
    }
    if args.errors:
        now = Share(sum_at(models, args.errors), count)
        facts["error_rate"] = {"value": now.value, "interval": now.interval}
        before: Share | None = args.before
        if before is not None:
            facts["baseline"] = {"file": args.baseline, "value": before.value, "interval": before.interval}
        if before is not None and before.value:
            facts["error_reduction_percent"] = 100 * (before.value - now.value) / before.value
    return facts


def plain(measures: Measures) -> dict[str, Any]:
    """The numbers for programs: times in seconds; what is not known is null."""
    traffic = measures.traffic
    return {
        "states": dict(measures.states),
        "latency": asdict(measures.latency),
        "time": asdict(measures.split),
        "agents": {name: _plain_calls(group) for name, group in measures.agents.items()},
        "hosts": {name: _plain_calls(group) for name, group in measures.hosts.items()},
        "bytes": asdict(traffic) | {"overhead": traffic.overhead},
        **asdict(measures.spent),
    }


def _plain_calls(calls: CallMeasures) -> dict[str, Any]:
    counts = {name: getattr(calls, name) for name in ("calls", "attempts", "lost", "failed")}
    times = {"waiting": asdict(calls.waits), "working": asdict(calls.work), "hours": calls.hours}
    rates = {name: getattr(calls, name) for name in ("losses_per_hour", "mtbf_s", "mttr_s")}
    return {**counts, **times, **rates}


def lines(measures: Measures, units: Mapping[str, Any]) -> list[str]:
    """The numbers for people."""
    parts = [output.table(("what", "value"), facts(measures, units))]
    for title in GROUPS:
        groups: Mapping[str, CallMeasures] = getattr(measures, title)
        if groups:
            parts += ["", output.table((title, *CALL_COLUMN_TITLES), call_rows(groups))]
    return parts


def facts(measures: Measures, units: Mapping[str, Any]) -> list[list[str]]:
    """What is known of all runs together."""
    latency, split, traffic = measures.latency, measures.split, measures.traffic
    states = ", ".join(f"{count} {state}" for state, count in measures.states.items())
    rows = [["runs", states]]
    if latency.count:
        rows += [
            ["latency p50 / p95 / p99", " / ".join(map(duration, (latency.p50, latency.p95, latency.p99)))],
            *(
                [name, f"{duration(seconds)} ({_percent(seconds, split.total)})"]
                for name, seconds in _parts(split)
            ),
        ]
    if traffic.inline or traffic.stored:
        rows.append(["bytes of calls", f"{traffic.inline:,} by the server, {traffic.stored:,} by the store"])
        rows.append(["bytes for each needed", f"{traffic.overhead or 0:.2f}"])
    if measures.spent.tokens:
        rows.append(["models", cost_text(0, measures.spent.tokens, measures.spent.money)])
    return rows + _unit_rows(units)


def _parts(split: TimeSplit) -> list[tuple[str, float]]:
    return [(f"  {name}", getattr(split, name)) for name in ("working", "waiting", "asked", "other")]


def _unit_rows(units: Mapping[str, Any]) -> list[list[str]]:
    if not units:
        return []
    rows = [["units", f"{units['units']:,g}"]]
    rows.append(["worker seconds for a unit", f"{units['worker_seconds_per_unit']:.3g}"])
    for name in ("tokens", "money"):
        if units[f"{name}_per_unit"]:
            rows.append([f"{name} for a unit", f"{units[f'{name}_per_unit']:.3g}"])
    for key, name in (("error_rate", "errors"), ("baseline", "errors of the baseline")):
        if key in units:
            low, high = units[key]["interval"]
            rows.append([name, f"{units[key]['value']:.2%} (95 %: {low:.2%} to {high:.2%})"])
    if "error_reduction_percent" in units:
        rows.append(["error reduction", f"{units['error_reduction_percent']:.1f} %"])
    return rows


def call_rows(groups: Mapping[str, CallMeasures]) -> list[list[str]]:
    """A row for each agent or host, those with the most work first."""
    ranked = sorted(groups.items(), key=lambda item: -sum(item[1].working))
    return [
        [name, str(group.calls), _lost(group), str(group.failed), _times(group.waits), _times(group.work)]
        for name, group in ranked
    ]


def _lost(calls: CallMeasures) -> str:
    if not calls.lost:
        return "0"
    repair = "" if calls.mttr_s is None else f", repaired in {duration(calls.mttr_s)}"
    return f"{calls.lost} ({calls.losses_per_hour or 0:.3g} an hour of work{repair})"


def _times(times: Quantiles) -> str:
    return f"{duration(times.p50)} / {duration(times.p95)}" if times.count else ""


def _percent(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "0%"
