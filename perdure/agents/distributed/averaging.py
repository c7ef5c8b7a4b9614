"""Agents that make one model of the updates of many sites."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.distributed.maths import aggregate, compress, masks, privacy, signatures
from perdure.agents.distributed.maths.optimizers import Adaptive, Moments, adaptive_step
from perdure.agents.distributed.maths.tensors import (
    Tensors,
    add,
    all_finite,
    digest,
    require_alike,
    subtract,
)
from perdure.agents.distributed.plugins import secret_of
from perdure.agents.distributed.values import count_of, number_of, optional, rows_of, tensors_of
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


@dataclass(frozen=True, kw_only=True)
class _Update:
    site: Any
    samples: float
    weights: Tensors
    delta: Tensors
    age: int
    loss: float | None


@agent(
    "fedAverageAgent",
    description="Makes one model of the updates of many sites",
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
    updates: list[_Update] = []
    refused: list[Value] = []
    for index, row in enumerate(rows_of(inputs, "updates", place)):
        update = _read(row, f"{place}.updates[{index}]", weights, round_, params)
        why = _refusal(row, update, params, context)
        if why:
            refused.append({"site": update.site, "why": why})
        else:
            updates.append(update)
    if not updates:
        raise FinalError(f"{place}.updates: all were refused", hint=f"the first because: {refused[0]['why']}")
    noise = _noise(context.run, round_) if params.rule == "private" else None
    stepped, server = _step(updates, weights, optional(inputs, "server", {}), noise, params)
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


def _read(
    row: Mapping[str, Value], place: str, weights: Tensors, round_: int, params: AverageParams
) -> _Update:
    age = round_ - count_of(row, "round", place, round_)
    if age < 0:
        raise FinalError(f"{place}.round: is later than the round that averages, {round_}")
    if "weights" in row:
        if age and params.rule == "buffer":
            raise FinalError(
                f"{place}.weights: the update is late, and does not say what it changed",
                hint="set send: delta on fedTrainAgent",
            )
        new = tensors_of(row["weights"], f"{place}.weights")
        require_alike(weights, new, f"{place}.weights")
        delta = subtract(new, weights)
    elif "sent" in row:
        sent = tensors_of(row["sent"], f"{place}.sent")
        delta = compress.restore(sent, weights, params.compress)
        new = add(weights, delta)
    else:
        delta = tensors_of(row.get("delta"), f"{place}: none of weights, delta and sent; delta")
        require_alike(weights, delta, f"{place}.delta")
        new = add(weights, delta)
    loss = row.get("loss")
    return _Update(
        site=row.get("site"),
        samples=number_of(row, "n", place, 1),
        weights=new,
        delta=delta,
        age=age,
        loss=loss if isinstance(loss, int | float) else None,
    )


def _refusal(row: Mapping[str, Value], update: _Update, params: AverageParams, context: AgentContext) -> str:
    if not all_finite(update.weights.values()):
        return "it holds NaN or infinity"
    if params.keys is None:
        return ""
    site = str(update.site)
    if site not in params.keys:
        return "the site is not known"
    try:
        public = base64.b64decode(params.keys[site], validate=True)
        signature = base64.b64decode(str(row.get("signature", "")), validate=True)
    except (binascii.Error, ValueError):
        return "the signature is not base64"
    kind = next(name for name in ("weights", "sent", "delta") if name in row)
    message = signatures.statement(
        tensors_of(row[kind], kind),
        run=context.run,
        round_=count_of(row, "round", kind, 0),
        site=site,
        samples=update.samples,
    )
    return "" if signatures.is_signed(public, signature, message) else "the signature does not match"


def _noise(run: str, round_: int) -> np.random.Generator:
    """From the secret of the worker that averages: who could repeat the noise could take it away again."""
    key = masks.derived(secret_of("center"), f"{run} round {round_} noise")
    return np.random.default_rng(int.from_bytes(key, "big"))


def _step(
    updates: Sequence[_Update],
    weights: Tensors,
    server: Value,
    noise: np.random.Generator | None,
    params: AverageParams,
) -> tuple[Tensors, Value]:
    if noise is not None:
        deltas = [update.delta for update in updates]
        mean = add(weights, privacy.noisy_mean(deltas, params.clip, params.noise, noise))
    else:
        mean = _mean(updates, weights, params)
    if params.optimizer == "none":
        return mean, {}
    moments = _moments(server)
    constants = Adaptive(
        rule=params.optimizer,
        eta=params.eta,
        beta1=params.beta1,
        beta2=params.beta2,
        tau=params.tau,
        bias_correction=params.bias_correction,
    )
    stepped, after = adaptive_step(weights, subtract(mean, weights), moments, constants)
    return stepped, {"m": after.m, "v": after.v, "rounds": after.rounds}


def _mean(updates: Sequence[_Update], weights: Tensors, params: AverageParams) -> Tensors:
    tensors = [update.weights for update in updates]
    match params.rule:
        case "median":
            return aggregate.median(tensors)
        case "trimmed":
            return aggregate.trimmed_mean(tensors, params.trim)
        case "krum":
            return aggregate.krum(tensors, params.byzantine, params.chosen)
        case "buffer":
            late = aggregate.buffered(
                [update.delta for update in updates], [update.age for update in updates]
            )
            return add(weights, late)
        case _:
            return aggregate.weighted_mean(tensors, [update.samples for update in updates])


def _moments(server: Value) -> Moments:
    if not is_dict(server) or not server:
        return Moments()
    place = "fedAverageAgent: inputs.server"
    return Moments(
        tensors_of(server.get("m"), f"{place}.m"),
        tensors_of(server.get("v"), f"{place}.v"),
        count_of(server, "rounds", place),
    )


def _mean_loss(updates: Sequence[_Update]) -> float | None:
    total = sum(update.samples for update in updates)
    if total <= 0 or any(update.loss is None for update in updates):
        return None
    return sum((update.loss or 0) * update.samples / total for update in updates)
