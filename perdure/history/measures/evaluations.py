"""How well models did: what agents have found on sets with known answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from perdure.graph.deferred import Deferred
from perdure.graph.values import Value, is_dict, is_list
from perdure.history.measures.shares import Share
from perdure.history.model import NodeModel, RunModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A model, judged by the node at `address` of a run on `n` samples.

    `interval` is Wilson's 95 % interval of an accuracy, None of other metrics. `f1` is the mean over the
    classes, `f1_by_class` has each of them; `worst` is the site where it does worst, with its accuracy.
    `digest` is that of the weights, "" if it is unknown.
    """

    run: str
    address: str
    metric: str
    value: float
    n: int
    interval: tuple[float, float] | None = None
    f1: float | None = None
    f1_by_class: tuple[float, ...] = ()
    worst: tuple[str, float] | None = None
    digest: str = ""


def evaluations_of(models: Sequence[RunModel]) -> list[Evaluation]:
    """Those of these runs, in the order in which they were made."""
    return [
        evaluation
        for model in models
        for node in _in_time(model)
        for evaluation in _evaluations(model.id, node)
    ]


def _in_time(model: RunModel) -> list[NodeModel]:
    return sorted(model.nodes.values(), key=lambda node: node.ended or 0)


def _evaluations(run: str, node: NodeModel) -> Iterator[Evaluation]:
    """What a result says that has an `accuracy`, or a report with a `metric`, of `n` samples."""
    result: Value = node.result
    if node.agent is None or not is_dict(result) or isinstance(result, Deferred):
        return
    metric, holder = "accuracy", result
    report = result.get("report")
    if is_dict(report) and isinstance(report.get("metric"), str):
        metric, holder = report["metric"], report
    value, n = _number(holder.get("accuracy" if holder is result else "value")), holder.get("n")
    if value is None or not isinstance(n, int) or n <= 0:
        return
    classes, digest = holder.get("f1"), holder.get("digest")
    yield Evaluation(
        run=run,
        address=node.address,
        metric=metric,
        value=value,
        n=n,
        interval=Share(value * n, n).interval if metric == "accuracy" else None,
        f1=_number(holder.get("macro")),
        f1_by_class=tuple(map(float, classes)) if _is_numbers(classes) else (),
        worst=_worst(holder.get("worst")),
        digest=digest if isinstance(digest, str) else "",
    )


def _is_numbers(value: Value) -> TypeGuard[list[float]]:
    return is_list(value) and None not in map(_number, value)


def _worst(site: Value) -> tuple[str, float] | None:
    value = _number(site.get("accuracy")) if is_dict(site) else None
    return None if value is None else (str(site["site"]), value)


def _number(value: Value) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
