"""Server optimizers: what the coordinator makes of the mean update.

Reddi and others, "Adaptive Federated Optimization" (2021). With Δ the mean of the updates:

    m = β1 m + (1 - β1) Δ
    v = β2 v + (1 - β2) Δ²                       FedAdam
    v = v - (1 - β2) Δ² sign(v - Δ²)             FedYogi
    w = w + η m / (√v + τ)

The paper has no correction of the bias of m and v. Flower's FedAdam has: it multiplies η by
√(1 - β2^(t+1)) / (1 - β1^(t+1)) in round t, from 1. Both are offered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from perdure.agents.distributed.maths.tensors import Array, Tensors, require_alike, zeros_like


@dataclass(frozen=True, kw_only=True)
class Adaptive:
    """The constants of FedAdam and FedYogi; the defaults are Flower's."""

    rule: Literal["adam", "yogi"] = "adam"
    eta: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.99
    tau: float = 1e-3
    bias_correction: bool = False


@dataclass(frozen=True)
class Moments:
    """What an adaptive optimizer remembers between rounds; empty before the first."""

    m: Tensors = field(default_factory=dict[str, Array])
    v: Tensors = field(default_factory=dict[str, Array])
    rounds: int = 0


def adaptive_step(
    weights: Mapping[str, Array], delta: Mapping[str, Array], moments: Moments, constants: Adaptive
) -> tuple[Tensors, Moments]:
    """The next weights and moments, in the dtype of the weights. Raises FinalError for other shapes."""
    require_alike(weights, delta, "the mean update")
    before = moments if moments.m else Moments(zeros_like(delta), zeros_like(delta))
    require_alike(weights, before.m, "the server's state")
    rounds = moments.rounds + 1
    eta = constants.eta * (_correction(constants, rounds) if constants.bias_correction else 1.0)
    m: Tensors = {}
    v: Tensors = {}
    stepped: Tensors = {}
    for name, weight in weights.items():
        change = delta[name]
        m[name] = np.asarray(constants.beta1 * before.m[name] + (1 - constants.beta1) * change)
        v[name] = np.asarray(_second(before.v[name], change * change, constants))
        step = eta * m[name] / (np.sqrt(v[name]) + constants.tau)
        stepped[name] = np.asarray(weight + step, weight.dtype)
    return stepped, Moments(m, v, rounds)


def _second(before: Array, square: Array, constants: Adaptive) -> Array:
    if constants.rule == "yogi":
        return before - (1 - constants.beta2) * square * np.sign(before - square)
    return constants.beta2 * before + (1 - constants.beta2) * square


def _correction(constants: Adaptive, rounds: int) -> float:
    second = (1 - constants.beta2 ** (rounds + 1)) ** 0.5
    return second / (1 - constants.beta1 ** (rounds + 1))
