"""The agents that make a model of checked data, and that judge it against the one in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from perdure.agents.agent import Sample, agent
from perdure.agents.distributed.maths import evaluate, features, sgd
from perdure.agents.distributed.maths.chance import generator
from perdure.agents.distributed.maths.tensors import Array, digest
from perdure.agents.distributed.pipeline.reading import features_of, parts_of, splits_of
from perdure.agents.distributed.plugins import model_of
from perdure.agents.distributed.training import FirstWeights, ModelParams, fitting
from perdure.agents.distributed.values import optional, tensors_of
from perdure.agents.schema import fields, flag, mapping, number, text
from perdure.errors import FinalError
from perdure.graph.values import UNDEFINED, Value, is_dict

_MODEL = mapping("{weights, kind, graph}: what is needed to ask the model")
_FEATURES = mapping("for each split {x, y}: rows of features, and class numbers")


@dataclass(frozen=True, kw_only=True)
class TransformParams:
    """Which columns become features, and how."""

    label: Annotated[str, Field(description="the column that is to be predicted")]
    scale: Annotated[list[str], Field(description="columns of numbers: mean 0, deviation 1")] = field(
        default_factory=list[str]
    )
    categories: Annotated[list[str], Field(description="columns of strings: 1 for the one that is there")] = (
        field(default_factory=list[str])
    )
    fit: Annotated[str, Field(description="the split whose means and categories hold for all")] = "train"


@agent(
    "transformAgent",
    description="Turns columns into features: fitted on the training rows, the same for all others",
    category="pipeline",
    inputs=fields(
        "examples",
        examples=mapping("tables by split"),
        graph=mapping("an earlier `graph`, instead of a new fit"),
    ),
    output=fields(examples=_FEATURES, graph=mapping("what was fitted: it belongs to the model")),
    samples=[
        Sample(
            inputs={"examples": {"train": {"site": ["a", "b"], "failed": ["no", "yes"]}}},
            params={"categories": ["site"], "label": "failed"},
            result={
                "examples": {"train": {"x": [[1, 0], [0, 1]], "y": [0, 1]}},
                "graph": {
                    "scale": {},
                    "categories": {"site": ["a", "b"]},
                    "label": {"column": "failed", "classes": ["no", "yes"]},
                },
            },
        )
    ],
)
def transform(inputs: dict[str, Value], params: TransformParams) -> Value:
    """Raises FinalError for a column that is missing or of another kind."""
    place = "transformAgent: inputs"
    splits = splits_of(inputs, place)
    graph = optional(inputs, "graph")
    if graph is None:
        if params.fit not in splits:
            raise FinalError(f"{place}.examples: there is no split {params.fit!r} to fit on")
        graph = features.fitted(splits[params.fit], params.scale, params.categories, params.label)
    made: dict[str, Value] = {}
    for name, split in splits.items():
        x, y = features.applied(split, graph)
        made[name] = {"x": x, "y": y}
    return {"examples": made, "graph": graph}


@dataclass(frozen=True, kw_only=True)
class TrainParams(ModelParams):
    """How the model is trained."""

    epochs: Annotated[int, Field(ge=1, description="times that all rows are visited")] = 20
    batch: Annotated[int, Field(ge=1, description="rows in one step")] = 32
    lr: Annotated[float, Field(gt=0, description="the length of a step")] = 0.1
    hidden: Annotated[int, Field(ge=1, description="units of a perceptron")] = 32


@agent(
    "trainAgent",
    description="Trains a model on the split `train`",
    category="pipeline",
    inputs=fields("examples", "graph", examples=_FEATURES, graph=mapping("as transformAgent fitted it")),
    output=fields(model=_MODEL, loss=number("mean of the last batch"), digest=text("SHA-256 of the weights")),
    samples=[
        Sample(
            inputs={
                "examples": {"train": {"x": [[1, 0], [0, 1]], "y": [0, 1]}},
                "graph": {"label": {"column": "failed", "classes": ["no", "yes"]}},
            },
            params={"epochs": 1, "lr": 1, "batch": 2},
            result={
                "model": {
                    "weights": {"b": [0, 0], "w": [[0.25, -0.25], [-0.25, 0.25]]},
                    "kind": "softmax",
                    "graph": {"label": {"column": "failed", "classes": ["no", "yes"]}},
                },
                "loss": 0.6931471805579453,
                "digest": "944e8ba6e447ad04ff534bde246ff852372f0ca2876bfbec22ffce8cc14e4775",
            },
        )
    ],
)
def train(inputs: dict[str, Value], params: TrainParams) -> Value:
    """The same bits for the same inputs and seed, on every worker.

    Raises FinalError for rows, classes and a model that do not fit together.
    """
    place = "trainAgent: inputs"
    x, y = features_of(inputs, "train", place)
    graph = parts_of(inputs, "graph", place)
    shape = FirstWeights(
        model=params.model,
        seed=params.seed,
        features=x.shape[1],
        classes=max(2, len(_classes(graph, place))),
        hidden=params.hidden,
    )
    options = {"epochs": params.epochs, "lr": params.lr, "batch": params.batch}
    rng = generator(1, 0, params.seed)
    trained, loss = fitting(sgd.local_sgd, model_of(params.model), shape.drawn(), x, y, rng, **options)
    weights = {name: trained[name] for name in sorted(trained)}
    model = {"weights": weights, "kind": params.model, "graph": graph}
    return {"model": model, "loss": loss, "digest": digest(weights)}


def _classes(graph: Mapping[str, Any], place: str) -> list[Any]:
    label = graph.get("label")
    if not is_dict(label) or not isinstance(label.get("classes"), list):
        raise FinalError(f"{place}.graph: expected {{label}}", hint="pass the graph of transformAgent")
    return label["classes"]


@dataclass(frozen=True, kw_only=True)
class JudgeParams:
    """When a model is good enough."""

    metric: Annotated[
        Literal["auc", "accuracy", "f1"], Field(description="f1 is the mean over the classes")
    ] = "accuracy"
    least: Annotated[float, Field(description="blessed from this on")] = 0.0
    better: Annotated[float, Field(description="blessed if this much above the baseline, or more")] = 0.0
    split: Annotated[str, Field(description="what it is judged on")] = "eval"
    positive: Annotated[str | None, Field(description="for auc: the class looked for (the last)")] = None
    slices: Annotated[list[str], Field(description="columns: the metric for each of their strings")] = field(
        default_factory=list[str]
    )


@agent(
    "evaluateAgent",
    description="Judges a model: against a bar, against the model in use, and for each slice of the data",
    category="pipeline",
    inputs=fields(
        "model",
        "examples",
        model=_MODEL,
        baseline=mapping("the model in use, null if there is none"),
        examples=_FEATURES,
        tables=mapping("for slices: the tables by split"),
    ),
    output=fields(
        blessed=flag("whether it may replace the baseline"),
        value=number("the metric"),
        baseline=number("that of the baseline, or null"),
        report=mapping("{metric, value, baseline, interval, n, slices, reason, digest}"),
    ),
    samples=[
        Sample(
            inputs={
                "model": {"weights": {"b": [0, 0], "w": [[1, -1], [-1, 1]]}, "kind": "softmax", "graph": {}},
                "examples": {"eval": {"x": [[1, 0], [0, 1]], "y": [0, 1]}},
            },
            params={"metric": "auc", "least": 0.9},
            result={
                "blessed": True,
                "value": 1.0,
                "baseline": None,
                "report": {
                    "metric": "auc",
                    "value": 1.0,
                    "baseline": None,
                    "n": 2,
                    "slices": {},
                    "reason": "",
                    "digest": "d4010d51053a2de1141d5b29f154b8cc10057beedf375b0d4beb048aeac73d20",
                },
            },
        )
    ],
)
def judge(inputs: dict[str, Value], params: JudgeParams) -> Value:
    """Both models answer the same rows. Raises FinalError for a model that does not fit them."""
    place = "evaluateAgent: inputs"
    x, y = features_of(inputs, params.split, place)
    model = _model(inputs.get("model"), f"{place}.model")
    in_use = optional(inputs, "baseline")
    value = _metric(_scores(model, x), y, model, params)
    old = None if in_use is None else _model(in_use, f"{place}.baseline")
    baseline = None if old is None else _metric(_scores(old, x), y, old, params)
    reason = _objection(value, baseline, params)
    report = {
        "metric": params.metric,
        "value": value,
        "baseline": baseline,
        "n": len(y),
        "slices": _slices(inputs, model, x, y, params),
        "reason": reason,
        "digest": digest(model["weights"]),
    }
    return {"blessed": not reason, "value": value, "baseline": baseline, "report": report}


def _objection(value: float, baseline: float | None, params: JudgeParams) -> str:
    if value < params.least:
        return f"{params.metric} {value:.4f} is below {params.least:g}"
    if baseline is None or value - baseline >= params.better:
        return ""
    aim = f"better by {params.better:g}" if params.better else "as good"
    return f"{params.metric} {value:.4f} is not {aim}: the model in use has {baseline:.4f}"


def _model(value: Value, place: str) -> dict[str, Any]:
    if not is_dict(value) or not isinstance(value.get("kind", UNDEFINED), str):
        raise FinalError(f"{place}: expected a model", hint="pass the model of trainAgent or modelAgent")
    return {**value, "weights": tensors_of(value.get("weights"), f"{place}.weights")}


def _scores(model: Mapping[str, Any], x: Array) -> Array:
    return fitting(model_of(model["kind"]).scores, model["weights"], x)


def _metric(scores: Array, y: Array, model: Mapping[str, Any], params: JudgeParams) -> float:
    if params.metric == "auc":
        column = _positive(scores, model, params)
        others = np.delete(scores, column, axis=1)
        return evaluate.auc(scores[:, column] - others.max(axis=1), y == column)
    scored = fitting(evaluate.score, scores.argmax(axis=1), y, scores.shape[1])
    return scored.accuracy if params.metric == "accuracy" else scored.macro


def _positive(scores: Array, model: Mapping[str, Any], params: JudgeParams) -> int:
    if params.positive is None:
        return scores.shape[1] - 1
    graph = model.get("graph")
    classes = _classes(graph if is_dict(graph) else {}, "evaluateAgent: inputs.model")[: scores.shape[1]]
    if params.positive not in classes:
        finding = f"{params.positive!r} is none of the model's classes, {classes}"
        raise FinalError(f"evaluateAgent: params.positive: {finding}", hint="name the one to look for")
    return classes.index(params.positive)


def _slices(
    inputs: Mapping[str, Value], model: Mapping[str, Any], x: Array, y: Array, params: JudgeParams
) -> dict[str, dict[str, Any]]:
    """{column: {string: {n, value}}}; the value is null where a slice is too small for the metric."""
    place = "evaluateAgent: inputs"
    if not params.slices:
        return {}
    table = splits_of(inputs, place, "tables").get(params.split)
    if table is None or len(next(iter(table.values()))) != len(y):
        finding = f"expected the {len(y)} rows that examples.{params.split} was made of"
        hint = "pass the tables of examplesAgent that transformAgent received"
        raise FinalError(f"{place}.tables.{params.split}: {finding}", hint=hint)
    slices: dict[str, dict[str, Any]] = {}
    for name in params.slices:
        column = np.array(features.strings(table, name), object)
        slices[name] = {}
        for string in sorted({string for string in column if string is not None}):
            rows = np.flatnonzero(column == string)
            slices[name][string] = {"n": len(rows), "value": _slice(model, x[rows], y[rows], params)}
    return slices


def _slice(model: Mapping[str, Any], x: Array, y: Array, params: JudgeParams) -> float | None:
    try:
        return _metric(_scores(model, x), y, model, params)
    except FinalError:
        return None
