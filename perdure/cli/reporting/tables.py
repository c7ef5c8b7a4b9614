"""The report for people: as tables, and as a page with plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Final

from perdure.cli import output
from perdure.cli.progress.progress_table import duration
from perdure.cli.progress.spent import cost_text, money_text
from perdure.history.measures.calls import CallMeasures
from perdure.history.measures.evaluations import Evaluation
from perdure.history.measures.report import Measures
from perdure.history.measures.shares import Quantiles
from perdure.history.measures.time_split import TimeSplit
from perdure.pictures.plots import Series, bars_plot, lines_plot
from perdure.pictures.tables import Table, tables_page

GROUPS: Final = ("agents", "hosts")
CALL_COLUMN_TITLES: Final = (
    "calls",
    "lost",
    "failed",
    "between losses",
    "repaired in",
    "waiting p50 / p95",
    "working p50 / p95",
    "bytes",
)
EVALUATION_COLUMN_TITLES: Final = ("run", "metric", "value", "95 %", "f1", "n", "worst site")


def lines(measures: Measures, named: Mapping[str, Any]) -> list[str]:
    """The tables, one under the other."""
    parts: list[str] = []
    for title, heads, rows in tables(measures, named):
        parts += [*([""] if parts else []), output.table((title, *heads[1:]), rows)]
    return parts


def page(ids: Sequence[str], measures: Measures, named: Mapping[str, Any]) -> str:
    """HTML that needs nothing else."""
    made = [table for table in tables(measures, named)]
    return tables_page(f"Report: {', '.join(ids)}", asdict(measures.split), made, plots(measures))


def tables(measures: Measures, named: Mapping[str, Any]) -> Iterator[Table]:
    """All of them, without those that would be empty."""
    yield "what", ("what", "value"), facts(measures, named)
    for title in GROUPS:
        groups: Mapping[str, CallMeasures] = getattr(measures, title)
        if groups:
            yield title, (title, *CALL_COLUMN_TITLES), call_rows(groups)
    if measures.evaluations:
        rows = [_evaluation_row(evaluation) for evaluation in measures.evaluations]
        yield "evaluations", ("evaluations", *EVALUATION_COLUMN_TITLES), rows


def plots(measures: Measures) -> list[str]:
    """Latency over the runs, what calls took by agent and by host, losses by host, accuracy by evaluation."""
    ranked = sorted(measures.seconds)
    share = [(seconds, (number + 1) / len(ranked)) for number, seconds in enumerate(ranked)]
    made = [lines_plot("Latency of runs", "seconds", "share of runs", [Series("runs", _steps(share))])]
    for title in GROUPS:
        groups: Mapping[str, CallMeasures] = getattr(measures, title)
        times = [
            (name, (sum(group.working), sum(group.transfer), sum(group.waiting)))
            for name, group in _ranked(groups)
        ]
        parts = ("working", "transfer", "waiting")
        made.append(bars_plot(f"Seconds of calls, by {title[:-1]}", parts, times))
        ends = [(name, (group.lost, group.failed, group.returned)) for name, group in _ranked(groups)]
        made.append(
            bars_plot(f"Attempts without a result, by {title[:-1]}", ("lost", "failed", "returned"), ends)
        )
    for metric in dict.fromkeys(evaluation.metric for evaluation in measures.evaluations):
        of_metric = [evaluation for evaluation in measures.evaluations if evaluation.metric == metric]
        made.append(lines_plot(f"Evaluations: {metric}", "evaluation", metric, _by_run(of_metric)))
    return made


def _steps(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    stairs: list[tuple[float, float]] = [(0.0, 0.0)]
    for x, y in points:
        stairs += [(x, stairs[-1][1]), (x, y)]
    return stairs if points else []


def _by_run(evaluations: Sequence[Evaluation]) -> list[Series]:
    runs: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        runs.setdefault(evaluation.run, []).append(evaluation)
    series: list[Series] = []
    for run, of_metric in runs.items():
        points = [(float(number), evaluation.value) for number, evaluation in enumerate(of_metric, 1)]
        bounds = [evaluation.interval for evaluation in of_metric if evaluation.interval is not None]
        low = [(x, low) for (x, _), (low, _) in zip(points, bounds, strict=False)]
        high = [(x, high) for (x, _), (_, high) in zip(points, bounds, strict=False)]
        series.append(Series(run, points, low, high))
    return series


def facts(measures: Measures, named: Mapping[str, Any]) -> list[list[str]]:
    """What is known of all runs together."""
    latency, split, traffic = measures.latency, measures.split, measures.traffic
    states = ", ".join(f"{count} {state}" for state, count in measures.states.items())
    rows = [["runs", states]]
    if latency.count:
        rows.append(["latency p50 / p95 / p99", _three(latency)])
        for part in fields(TimeSplit):
            seconds = getattr(split, part.name)
            rows.append([f"  {part.name}", f"{duration(seconds)} ({_percent(seconds, split.total)})"])
    if traffic.calls:
        rows.append(["bytes by the server", f"{traffic.server:,}, of which {traffic.calls:,} of calls"])
        if traffic.got or traffic.put or traffic.cached:
            store = f"{traffic.got:,} read, {traffic.put:,} written, {traffic.cached:,} from caches"
            rows.append(["bytes of the store", store])
        rows.append(["bytes for each needed", f"{traffic.overhead or 0:.2f}"])
    if measures.spent.tokens:
        rows.append(["models", cost_text(0, measures.spent.tokens, measures.spent.money)])
    if measures.money > measures.spent.money:
        rows.append(["money in all", money_text(measures.money)])
    return rows + _named_rows(named)


def _named_rows(named: Mapping[str, Any]) -> list[list[str]]:
    rows: list[list[str]] = []
    if "decision" in named:
        rows.append(["event to decision p50 / p95 / p99", _three(named["decision"])])
    if "units" in named:
        rows.append(["units", f"{named['units']:,g}"])
        rows.append(["worker seconds for a unit", f"{named['worker_seconds_per_unit']:.3g}"])
    for name in ("tokens", "money"):
        if named.get(f"{name}_per_unit"):
            rows.append([f"{name} for a unit", f"{named[f'{name}_per_unit']:.3g}"])
    for key, name in (("error_rate", "errors"), ("baseline", "errors of the baseline")):
        if key in named:
            rows.append([name, f"{named[key]['value']:.2%} (95 %: {_range(named[key]['interval'])})"])
    if "error_reduction_percent" in named:
        rows.append(["error reduction", f"{named['error_reduction_percent']:.1f} %"])
    return rows


def call_rows(groups: Mapping[str, CallMeasures]) -> list[list[str]]:
    """A row for each agent or host, those with the most work first."""
    return [
        [
            name,
            str(group.calls),
            str(group.lost),
            str(group.failed),
            "" if group.mtbf_s is None else f"{duration(group.mtbf_s)} of work",
            "" if group.mttr_s is None else duration(group.mttr_s),
            _times(group.waits),
            _times(group.work),
            f"{group.byte_count:,}",
        ]
        for name, group in _ranked(groups)
    ]


def _ranked(groups: Mapping[str, CallMeasures]) -> list[tuple[str, CallMeasures]]:
    return sorted(groups.items(), key=lambda item: -sum(item[1].working))


def _evaluation_row(evaluation: Evaluation) -> list[str]:
    worst = "" if evaluation.worst is None else f"{evaluation.worst[0]}: {evaluation.worst[1]:.4f}"
    interval = "" if evaluation.interval is None else _range(evaluation.interval)
    f1 = "" if evaluation.f1 is None else f"{evaluation.f1:.4f}"
    return [
        evaluation.address,
        evaluation.run,
        evaluation.metric,
        f"{evaluation.value:.4f}",
        interval,
        f1,
        f"{evaluation.n:,}",
        worst,
    ]


def _three(times: Quantiles) -> str:
    return " / ".join(map(duration, (times.p50, times.p95, times.p99)))


def _times(times: Quantiles) -> str:
    return f"{duration(times.p50)} / {duration(times.p95)}" if times.count else ""


def _range(interval: Sequence[float]) -> str:
    return f"{interval[0]:.2%} to {interval[1]:.2%}"


def _percent(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "0%"
