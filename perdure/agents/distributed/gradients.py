"""Agents of distributed gradient descent: a gradient at each site, one step for all.

A step costs one fan-out, some 50 ms. For steps in milliseconds, train inside one agent instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.distributed.maths import sgd
from perdure.agents.distributed.maths.chance import generator
from perdure.agents.distributed.maths.tensors import Array, Tensors, digest, require_alike
from perdure.agents.distributed.plugins import model_of
from perdure.agents.distributed.training import FirstWeights, fitting, samples
from perdure.agents.distributed.values import count_of, number_of, optional, rows_of, site_of, tensors_of
from perdure.agents.schema import anything, array, fields, flag, mapping, number, text
from perdure.graph.values import Value

_WEIGHTS = mapping("named arrays; none before the first step")


@dataclass(frozen=True, kw_only=True)
class GradientParams(FirstWeights):
    """Of which data and model."""

    data: Annotated[str, Field(description="a data set that the worker has")]
    batch: Annotated[int, Field(ge=0, description="samples of a step; 0 for all")] = 0


@agent(
    "gradientAgent",
    description="The gradient of the mean loss over the samples of one site, in doubles",
    category="learning",
    inputs=fields(
        "site",
        weights=_WEIGHTS,
        step=number("from 0: chooses the batch (0)"),
        site=anything("the name or number of the site"),
    ),
    output=fields(gradient=mapping("named arrays"), n=number("samples"), loss=number(), site=anything()),
    samples=[
        Sample(
            inputs={"weights": {"b": [0, 0], "w": [[0, 0]]}, "site": "north"},
            params={"data": "coins"},
            result={
                "gradient": {"b": [0, 0], "w": [[0.5, -0.5]]},
                "n": 2,
                "loss": 0.6931471805579453,
                "site": "north",
            },
        )
    ],
)
def gradient(inputs: dict[str, Value], params: GradientParams, context: AgentContext) -> Value:
    """Of all samples, or of the batch of this step. An epoch visits all in an order of its own."""
    place = "gradientAgent: inputs"
    site, step = site_of(inputs, place), count_of(inputs, "step", place, 0)
    weights = _weights(inputs, params, place)
    x, y = samples(params.data, site, context)
    x, y = _batch(x, y, params, step, site)
    slope, loss = fitting(model_of(params.model).gradient, weights, x.astype("float64"), y)
    return {"gradient": {name: slope[name] for name in weights}, "n": len(y), "loss": loss, "site": site}


def _weights(inputs: dict[str, Value], params: FirstWeights, place: str) -> Tensors:
    if optional(inputs, "weights") is not None:
        return tensors_of(inputs["weights"], f"{place}.weights")
    return params.drawn()


def _batch(x: Array, y: Array, params: GradientParams, step: int, site: int | str) -> tuple[Array, Array]:
    if not params.batch or params.batch >= len(y):
        return x, y
    batches = len(y) // params.batch
    epoch, number = divmod(step, batches)
    order = generator(params.seed, epoch, site).permutation(len(y))
    rows = order[number * params.batch : (number + 1) * params.batch]
    return x[rows], y[rows]


@dataclass(frozen=True, kw_only=True)
class StepParams(FirstWeights):
    """How far a step goes, and when to stop."""

    eta: Annotated[float, Field(gt=0, description="the length of a step")] = 0.1
    weighting: Annotated[
        Literal["samples", "equal"],
        Field(
            description="n_i / n, which equals central descent; or 1 / N, which does not for unequal sites"
        ),
    ] = "samples"
    steps: Annotated[int, Field(ge=1, description="`more` is false after this many")] = 100
    tolerance: Annotated[float, Field(ge=0, description="or when no number of the gradient exceeds it")] = 0


@agent(
    "sgdStepAgent",
    description="One step of descent along the mean gradient of all sites",
    category="learning",
    inputs=fields(
        "gradients",
        weights=_WEIGHTS,
        gradients=array("results of gradientAgent, in the order of the rows", mapping()),
        step=number("from 0 (0)"),
    ),
    output=fields(
        weights=mapping("named arrays"),
        loss=number("the mean over all samples, before the step"),
        largest=number("of the mean gradient"),
        steps=number("that are done"),
        more=flag("whether steps are left and the tolerance is not reached"),
        digest=text("SHA-256 of the weights"),
    ),
    samples=[
        Sample(
            inputs={
                "weights": {"w": [1, 1]},
                "gradients": [
                    {"gradient": {"w": [1, 0]}, "n": 1, "loss": 1},
                    {"gradient": {"w": [1, 4]}, "n": 3, "loss": 5},
                ],
            },
            params={"eta": 0.5},
            result={
                "weights": {"w": [0.5, -0.5]},
                "loss": 4,
                "largest": 3,
                "steps": 1,
                "more": True,
                "digest": "7ac0e29db5dddc3d29e0f3e10e554a1a27c583cfa833a7cd9cae51e8daa42fa3",
            },
        )
    ],
)
def sgd_step(inputs: dict[str, Value], params: StepParams) -> Value:
    """The next weights. Sums are in the order of the rows, so the same rows give the same bits."""
    place = "sgdStepAgent: inputs"
    weights = _weights(inputs, params, place)
    step = count_of(inputs, "step", place, 0)
    gradients: list[Tensors] = []
    counts: list[float] = []
    losses: list[float] = []
    for index, row in enumerate(rows_of(inputs, "gradients", place)):
        here = f"{place}.gradients[{index}]"
        gradients.append(tensors_of(row.get("gradient"), f"{here}.gradient"))
        require_alike(weights, gradients[-1], f"{here}.gradient")
        counts.append(number_of(row, "n", here))
        losses.append(number_of(row, "loss", here, 0))
    shares = counts if params.weighting == "samples" else [1.0] * len(counts)
    stepped, largest = sgd.descend(weights, gradients, shares, params.eta)
    return {
        "weights": stepped,
        "loss": sum(loss * (count / sum(counts)) for loss, count in zip(losses, counts, strict=True)),
        "largest": largest,
        "steps": step + 1,
        "more": step + 1 < params.steps and largest > params.tolerance,
        "digest": digest(stepped),
    }
