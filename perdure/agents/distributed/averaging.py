"""Agents that make one model of the updates of many sites."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.distributed.maths import aggregate, masks, privacy
from perdure.agents.distributed.maths.optimizers import Adaptive, Moments, adaptive_step
from perdure.agents.distributed.maths.tensors import Tensors, add, digest, subtract
from perdure.agents.distributed.plugins import secret_of
from perdure.agents.distributed.updates import Opened, Update, UpdateReader, UpdateRefused, read_update
from perdure.agents.distributed.values import count_of, optional, rows_of, tensors_of
from perdure.agents.schema import array, fields, mapping, number, text
from perdure.errors import FinalError
from perdure.graph.values import Value, is_dict

_WEIGHTS = mapping("named arrays")


@dataclass(frozen=True, kw_only=True)
class AverageParams:
    """The rule, and what the server makes of its result."""

    rule: Annotated[
        Literal["mean", "median", "trimmed", "krum", "buffer", "private"],
        Field(description="how many updates become one"),
    ] = "mean"
    trim: Annotated[float, Field(ge=0, lt=0.5, description="the share cut at each end by `trimmed`")] = 0.1
    byzantine: Annotated[int, Field(ge=0, description="attackers that `krum` tolerates")] = 0
    chosen: Annotated[int, Field(ge=1, description="updates that `krum` averages; above 1, multi-Krum")] = 1
    clip: Annotated[float, Field(gt=0, description="the length of an update under `private`")] = 1
    noise: Annotated[float, Field(ge=0, description="deviation over `clip`, under `private`")] = 1
    optimizer: Annotated[Literal["none", "adam", "yogi"], Field(description="of the server")] = "none"
    eta: Annotated[float, Field(gt=0, description="the optimizer's step")] = 0.1
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.99
    tau: Annotated[float, Field(gt=0)] = 1e-3
    bias_correction: Annotated[
        bool, Field(alias="biasCorrection", description="correct eta as Flower's FedAdam does")
    ] = False
    compress: Annotated[
        Literal["none", "topk", "int8"], Field(description="how the sites made `sent` of their deltas")
    ] = "none"
    keys: Annotated[
        dict[str, str] | None, Field(description="public keys by site, base64: others are refused")
    ] = None


@agent(
    "fedAverageAgent",
    description="Makes one model of the updates of many sites",
    blobs=("updates",),
    category="learning",
    inputs=fields(
        "updates",
        "weights",
        updates=array(
            "results of fedTrainAgent in the order of the rows, or compressed ones",
            mapping(),
        ),
        weights=_WEIGHTS,
        server=mapping("the `server` of the round before"),
        round=number("from 0 (0)"),
    ),
    output=fields(
        weights=_WEIGHTS,
        server=mapping("what the optimizer remembers, for the next round"),
        n=number("samples behind the result"),
        loss=number("the mean of the sites', by samples"),
        accepted=array("sites whose updates count"),
        refused=array("updates that do not count: {site, why}", mapping()),
        ages=array("rounds by which each accepted update is late", number()),
        digest=text("SHA-256 of the weights"),
    ),
    samples=[
        Sample(
            inputs={
                "updates": [
                    {"site": "a", "n": 1, "loss": 1, "weights": {"w": [1, 2]}},
                    {"site": "b", "n": 3, "loss": 3, "weights": {"w": [5, 2]}},
                ],
                "weights": {"w": [0, 0]},
            },
            result={
                "weights": {"w": [4, 2]},
                "server": {},
                "n": 4,
                "loss": 2.5,
                "accepted": ["a", "b"],
                "refused": [],
                "ages": [0, 0],
                "digest": "bf48e6c2e71fee14d10c35b220ad2a7472eae58a9165b5ee5ceefec01725443e",
            },
        )
    ],
)
def fed_average(inputs: dict[str, Value], params: AverageParams, context: AgentContext) -> Value:
    """The next weights: the same bits for the same rows, in whatever order they arrived.

    An update with NaN or infinity, or without a valid signature where `keys` are set, is refused and listed.
    Raises FinalError if none is left, or for updates of another model.
    """
    place = "fedAverageAgent: inputs"
    weights = tensors_of(inputs.get("weights"), f"{place}.weights")
    round_ = count_of(inputs, "round", place, 0)
    reader = UpdateReader(weights=weights, compress=params.compress, keys=params.keys, run=context.run)
    updates = [
        read_update(row, f"{place}.updates[{index}]", round_, params.rule)
        for index, row in enumerate(rows_of(inputs, "updates", place))
    ]
    noise = partial(_noise, context.run, round_)
    refused: list[Value] = []
    mean = None
    with suppress(UpdateRefused):
        mean = _mean(updates, reader, noise, params)
    if mean is None:
        updates, refused = _parted(updates, reader)
        if not updates:
            why = refused[0]["why"]
            raise FinalError(f"{place}.updates: all were refused", hint=f"the first because: {why}")
        mean = _mean(updates, reader, noise, params)
    stepped, server = _stepped(mean, weights, optional(inputs, "server", {}), params)
    return {
        "weights": stepped,
        "server": server,
        "n": sum(update.samples for update in updates),
        "loss": _mean_loss(updates),
        "accepted": [update.site for update in updates],
        "refused": refused,
        "ages": [update.age for update in updates],
        "digest": digest(stepped),
    }


def _parted(updates: Sequence[Update], reader: UpdateReader) -> tuple[list[Update], list[Value]]:
    """The updates that count, and why the others do not."""
    whys = [(update, reader.refusal(update)) for update in updates]
    refused: list[Value] = [{"site": update.site, "why": why} for update, why in whys if why]
    return [update for update, why in whys if not why], refused


def _noise(run: str, round_: int) -> np.random.Generator:
    """From the secret of the worker that averages: who could repeat the noise could take it away again."""
    key = masks.derived(secret_of("center"), f"{run} round {round_} noise")
    return np.random.default_rng(int.from_bytes(key, "big"))


def _mean(
    updates: Sequence[Update],
    reader: UpdateReader,
    noise: Callable[[], np.random.Generator],
    params: AverageParams,
) -> Tensors:
    """The model that the rule makes of the updates. Raises UpdateRefused where one of them does not count."""
    models, deltas = Opened(updates, reader.model), Opened(updates, reader.delta)
    match params.rule:
        case "median":
            return aggregate.median(models)
        case "trimmed":
            return aggregate.trimmed_mean(models, params.trim)
        case "krum":
            return aggregate.krum(models, params.byzantine, params.chosen)
        case "buffer":
            return add(reader.weights, aggregate.buffered(deltas, [update.age for update in updates]))
        case "private":
            mean = privacy.noisy_mean(deltas, params.clip, params.noise, noise())
            return add(reader.weights, mean)
        case _:
            return aggregate.weighted_mean(models, [update.samples for update in updates])


def _stepped(mean: Tensors, weights: Tensors, server: Value, params: AverageParams) -> tuple[Tensors, Value]:
    """The next weights, and what the optimizer remembers."""
    if params.optimizer == "none":
        return mean, {}
    constants = Adaptive(
        rule=params.optimizer,
        eta=params.eta,
        beta1=params.beta1,
        beta2=params.beta2,
        tau=params.tau,
        bias_correction=params.bias_correction,
    )
    stepped, after = adaptive_step(weights, subtract(mean, weights), _moments(server), constants)
    return stepped, {"m": after.m, "v": after.v, "rounds": after.rounds}


def _moments(server: Value) -> Moments:
    if not is_dict(server) or not server:
        return Moments()
    place = "fedAverageAgent: inputs.server"
    return Moments(
        tensors_of(server.get("m"), f"{place}.m"),
        tensors_of(server.get("v"), f"{place}.v"),
        count_of(server, "rounds", place),
    )


def _mean_loss(updates: Sequence[Update]) -> float | None:
    total = sum(update.samples for update in updates)
    if total <= 0 or any(update.loss is None for update in updates):
        return None
    return sum((update.loss or 0) * update.samples / total for update in updates)
