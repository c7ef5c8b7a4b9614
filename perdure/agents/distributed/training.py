"""Agents that train and judge a model where its data is: only weights and counts leave the site."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.distributed.maths import evaluate, masks, sgd, signatures
from perdure.agents.distributed.maths.chance import generator
from perdure.agents.distributed.maths.tensors import Array, Tensors, digest, subtract
from perdure.agents.distributed.plugins import dataset_of, model_of, secret_of
from perdure.agents.distributed.residuals import compressed
from perdure.agents.distributed.values import count_of, number_of, optional, rows_of, site_of, tensors_of
from perdure.agents.schema import anything, array, fields, flag, mapping, number, text
from perdure.errors import FinalError
from perdure.graph.values import Value

_WEIGHTS = mapping("named arrays")


@agent(
    "fedInitAgent",
    description="The first weights of a model",
    category="learning",
    params=fields(
        model=text("a model that the worker has: softmax, perceptron or one of its own (softmax)"),
        seed=number("draws the weights (0)"),
        features=number("of a sample (64)"),
        classes=number("of samples (10)"),
        hidden=number("units of a perceptron (32)"),
        dtype=text("float32 or float64 (float32)"),
    ),
    output=fields(weights=_WEIGHTS, digest=text("SHA-256 of the weights")),
    samples=[
        Sample(
            params={"features": 1, "classes": 2},
            result={
                "weights": {"b": [0, 0], "w": [[0, 0]]},
                "digest": "fe23be19c2dcf66d61f349a1c74c1a11c569c08bb86d3733af2a773553df8861",
            },
        )
    ],
)
def fed_init(params: Mapping[str, Value]) -> Value:
    """The weights, the same for the same params."""
    weights = initial(params)
    return {"weights": weights, "digest": digest(weights)}


def initial(params: Mapping[str, Value]) -> Tensors:
    """The weights of `params.model`, sorted by name."""
    model = model_of(params.get("model", "softmax"))
    seed = count_of(params, "seed", "params", 0)
    if params.get("dtype", "float32") not in ("float32", "float64"):
        raise FinalError(f"params.dtype: expected float32 or float64, got {params['dtype']!r}")
    return dict(sorted(model.init(params, seed).items()))


@dataclass(frozen=True, kw_only=True)
class ModelParams:
    """Which model, and what is drawn for it."""

    model: Annotated[str, Field(description="a model that the worker has")] = "softmax"
    seed: Annotated[int, Field(ge=0, description="draws first weights, and the order of the samples")] = 0


@dataclass(frozen=True, kw_only=True)
class FirstWeights(ModelParams):
    """The shape of the weights that a model begins with."""

    features: Annotated[int, Field(ge=1, description="of a sample, for first weights")] = 64
    classes: Annotated[int, Field(ge=1, description="of samples, for first weights")] = 10
    hidden: Annotated[int, Field(ge=1, description="units of a perceptron, for first weights")] = 32

    def drawn(self) -> Tensors:
        """These weights, in doubles."""
        shape = {"features": self.features, "classes": self.classes, "hidden": self.hidden}
        return initial({"model": self.model, "seed": self.seed, "dtype": "float64", **shape})


@dataclass(frozen=True, kw_only=True)
class TrainParams(ModelParams):
    """How a site trains."""

    data: Annotated[str, Field(description="a data set that the worker has")]
    epochs: Annotated[int, Field(ge=1, description="times that all samples are visited")] = 1
    batch: Annotated[int, Field(ge=1, description="samples in one step")] = 32
    lr: Annotated[float, Field(gt=0, description="the length of a step")] = 0.1
    mu: Annotated[float, Field(ge=0, description="above 0, FedProx: holds weights near the common ones")] = 0
    send: Annotated[
        Literal["weights", "delta"], Field(description="the new weights, or their difference")
    ] = "weights"
    compress: Annotated[
        Literal["none", "topk", "int8"],
        Field(description="send a smaller `sent`, and what it leaves out with the next one"),
    ] = "none"
    share: Annotated[float, Field(gt=0, le=1, description="of the numbers that `topk` sends")] = 0.1
    sign: Annotated[bool, Field(description="sign the update with the secret of this site")] = False


@agent(
    "fedTrainAgent",
    description="Trains a model on the data of one site",
    category="learning",
    inputs=fields(
        "weights",
        "site",
        weights=_WEIGHTS,
        round=number("from 0 (0)"),
        site=anything("the name or number of the site"),
    ),
    output=fields(
        weights=_WEIGHTS,
        delta=mapping("instead of weights, if `send` is delta"),
        sent=mapping("instead of weights, the difference as `compress` says"),
        n=number("samples of the site"),
        loss=number("mean of the last batch"),
        site=anything(),
        round=number("in which the weights were received"),
        signature=text("Ed25519, base64"),
    ),
    samples=[
        Sample(
            inputs={"weights": {"b": [0, 0], "w": [[0, 0]]}, "round": 0, "site": "north"},
            params={"data": "coins", "epochs": 1, "lr": 0.5, "batch": 2},
            result={
                "weights": {"b": [0, 0], "w": [[-0.25, 0.25]]},
                "n": 2,
                "loss": 0.6931471805579453,
                "site": "north",
                "round": 0,
            },
        )
    ],
)
def fed_train(inputs: dict[str, Value], params: TrainParams, context: AgentContext) -> Value:
    """Local descent from `weights`; the order of the samples depends on seed, round and site only.

    So another attempt of the same call, on any host with the same data, gives the same bits. Raises
    FinalError for data, models or weights that do not fit together.
    """
    place = "fedTrainAgent: inputs"
    weights = tensors_of(inputs.get("weights"), f"{place}.weights")
    site, round_ = site_of(inputs, place), count_of(inputs, "round", place, 0)
    x, y = samples(params.data, site, context)
    rng = generator(round_ + 1, site, params.seed)
    options = {"epochs": params.epochs, "lr": params.lr, "batch": params.batch, "mu": params.mu}
    trained, loss = fitting(sgd.local_sgd, model_of(params.model), weights, x, y, rng, **options)
    sent = {name: trained[name] for name in weights}
    kind = params.send if params.compress == "none" else "sent"
    if kind != "weights":
        sent = subtract(sent, weights)
    if kind == "sent":
        sent = compressed(sent, (params.compress, params.share), f"{site} {params.data}", round_, context)
    result = {kind: sent, "n": len(y), "loss": loss, "site": site, "round": round_}
    if params.sign:
        result["signature"] = _signature(sent, result, context)
    return result


def _signature(sent: Tensors, about: Mapping[str, Any], context: AgentContext) -> str:
    message = signatures.statement(
        sent, run=context.run, round_=about["round"], site=str(about["site"]), samples=about["n"]
    )
    return base64.b64encode(signatures.signed(signing_key(about["site"]), message)).decode()


def signing_key(site: int | str) -> bytes:
    """The Ed25519 key of a site, derived from its secret."""
    return masks.derived(secret_of(site), "perdure signature")


def samples(data: str, site: int | str, context: AgentContext) -> tuple[Array, Array]:
    """The samples of a site. Raises FinalError unless there is a label for each, and at least one."""
    x, y = dataset_of(data)(site, context)
    if x.ndim != 2 or y.shape != (len(x),) or y.dtype.kind not in "iu":
        raise FinalError(
            f"the data set {data!r} has samples {list(x.shape)} and labels {list(y.shape)} of {y.dtype}",
            hint="samples are rows of features, labels are class numbers",
        )
    context.data.took(x)
    return x, y


def fitting(function: Any, *args: Any, **options: Any) -> Any:
    """The function's result. Shapes that do not fit become a FinalError: no repetition can help."""
    try:
        return function(*args, **options)
    except (ValueError, IndexError, KeyError) as error:
        raise FinalError(
            f"the model and the data do not fit together: {type(error).__name__}: {error}",
            hint="compare the features and classes of fedInitAgent with those of the data",
        ) from None


@dataclass(frozen=True, kw_only=True)
class EvaluateParams:
    """On what, and how long a loop continues."""

    data: Annotated[str, Field(description="a data set that the worker has")]
    model: Annotated[str, Field(description="a model that the worker has")] = "softmax"
    rounds: Annotated[int, Field(ge=1, description="`more` is false after this many")] = 1
    target: Annotated[float, Field(description="`more` is false from this accuracy on")] = 2.0


@agent(
    "fedEvaluateAgent",
    description="Judges a model on a set that no site trained on",
    category="learning",
    inputs=fields(
        "weights",
        weights=_WEIGHTS,
        round=number("from 0 (0)"),
        site=anything("whose part of the set (0)"),
    ),
    output=fields(
        accuracy=number(),
        interval=array("Wilson's 95 % interval of the accuracy", number()),
        n=number("samples of the set"),
        correct=number("of them"),
        f1=array("for each class", number()),
        macro=number("the mean of f1"),
        micro=number("F1 over all classes together"),
        digest=text("SHA-256 of the weights"),
        rounds=number("that are done"),
        more=flag("whether the target is not reached and rounds are left"),
    ),
    samples=[
        Sample(
            inputs={"weights": {"b": [0, 0], "w": [[-0.25, 0.25]]}, "round": 2},
            params={"data": "coins", "rounds": 10, "target": 0.9},
            result={
                "accuracy": 1.0,
                "interval": [0.3423802275066531, 1.0],
                "n": 2,
                "correct": 2,
                "f1": [1.0, 1.0],
                "macro": 1.0,
                "micro": 1.0,
                "digest": "452ccbb074cb175e077093a81bce6268dad6c5553e872bbb9a0a4a6d201f1946",
                "rounds": 3,
                "more": False,
            },
        )
    ],
)
def fed_evaluate(inputs: dict[str, Value], params: EvaluateParams, context: AgentContext) -> Value:
    """Accuracy with its interval, and F1. Raises FinalError for weights that do not fit the data."""
    place = "fedEvaluateAgent: inputs"
    weights = tensors_of(inputs.get("weights"), f"{place}.weights")
    round_ = count_of(inputs, "round", place, 0)
    x, y = samples(params.data, site_of({"site": optional(inputs, "site", 0)}, place), context)
    logits = fitting(model_of(params.model).scores, weights, x)
    scored = fitting(evaluate.score, logits.argmax(axis=1), y, logits.shape[1])
    return {
        "accuracy": scored.accuracy,
        "interval": list(scored.interval),
        "n": scored.count,
        "correct": scored.correct,
        "f1": list(scored.f1),
        "macro": scored.macro,
        "micro": scored.micro,
        "digest": digest(weights),
        "rounds": round_ + 1,
        "more": scored.accuracy < params.target and round_ + 1 < params.rounds,
    }


@agent(
    "fedSummaryAgent",
    pure=True,
    description="Sums up what sites say about one model: the mean by samples, and the worst site",
    category="learning",
    inputs=fields("scores", scores=array("of each site: {site, accuracy, n}", mapping())),
    output=fields(accuracy=number("Σ n/N · accuracy"), n=number(), worst=mapping("{site, accuracy, n}")),
    samples=[
        Sample(
            inputs={
                "scores": [{"site": "a", "accuracy": 0.5, "n": 100}, {"site": "b", "accuracy": 1, "n": 300}]
            },
            result={"accuracy": 0.875, "n": 400, "worst": {"site": "a", "accuracy": 0.5, "n": 100}},
        )
    ],
)
def fed_summary(inputs: dict[str, Value]) -> Value:
    """A mean that is not weighted, or that hides a site, misleads: here are both."""
    rows = rows_of(inputs, "scores", "fedSummaryAgent: inputs")
    places = [f"fedSummaryAgent: inputs.scores[{index}]" for index in range(len(rows))]
    accuracies = [number_of(row, "accuracy", place) for row, place in zip(rows, places, strict=True)]
    counts = [count_of(row, "n", place) for row, place in zip(rows, places, strict=True)]
    mean, worst = evaluate.over_sites(accuracies, counts)
    chosen = {"site": rows[worst].get("site"), "accuracy": accuracies[worst], "n": counts[worst]}
    return {"accuracy": mean, "n": sum(counts), "worst": chosen}
