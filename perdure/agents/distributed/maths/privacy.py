"""Differential privacy: bound what one participant can change, add noise, and count what it costs.

DP-FedAvg (McMahan and others, "Learning Differentially Private Recurrent Language Models", 2018): each update
is clipped to the length C, Gaussian noise of the deviation z C is added to their sum. What has been spent is
counted by the library dp-accounting, never here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np

from perdure.agents.distributed.extras import library
from perdure.agents.distributed.maths.tensors import Array, Tensors, norm, require_alike, require_some, scale
from perdure.errors import FinalError

ACCOUNTANTS: Final = ("rdp", "pld")
"""Rényi differential privacy, and the tighter privacy loss distributions."""


def clip(update: Mapping[str, Array], bound: float) -> Tensors:
    """The update, shortened to the Euclidean length `bound` if it is longer."""
    if not bound > 0:
        raise FinalError(f"clip {bound}: expected a length above 0")
    length = norm(update)
    if not np.isfinite(length):
        raise FinalError("an update with NaN or infinity cannot be clipped")
    return scale(update, min(1.0, bound / length) if length else 1.0)


def noisy_mean(
    updates: Sequence[Mapping[str, Array]], bound: float, noise: float, rng: np.random.Generator
) -> Tensors:
    """The plain mean of the clipped updates, with noise of the deviation noise · bound on their sum.

    Not weighted: the number of samples of a site would be private too.
    """
    require_some(updates, "the private mean")
    total: Tensors = {}
    for update in updates:
        if not total:
            total = clip(update, bound)
            continue
        require_alike(total, update, "an update")
        total = {name: np.asarray(total[name] + array) for name, array in clip(update, bound).items()}
    return {
        name: np.asarray(
            (array + rng.standard_normal(array.shape) * (noise * bound)) / len(updates), array.dtype
        )
        for name, array in total.items()
    }


def epsilon(
    noise: float, rate: float, steps: int, delta: float, accountant: Literal["rdp", "pld"] = "rdp"
) -> float:
    """The ε at `delta` of `steps` Gaussian steps, each on a Poisson sample of the share `rate`.

    `noise` is the deviation over the clipping length. Raises FinalError for numbers outside their range,
    and if dp-accounting is not installed.
    """
    if not (noise > 0 and 0 < rate <= 1 and steps >= 0 and 0 < delta < 1):
        raise FinalError(
            f"noise {noise}, rate {rate}, steps {steps}, delta {delta}: out of range",
            hint="noise > 0, 0 < rate <= 1, steps >= 0, 0 < delta < 1",
        )
    if steps == 0:
        return 0.0
    accounting = library("dp_accounting", "fed")
    event = accounting.GaussianDpEvent(noise)
    if rate < 1:
        event = accounting.PoissonSampledDpEvent(rate, event)
    if accountant == "rdp":
        ledger = library("dp_accounting.rdp", "fed").RdpAccountant()
    elif accountant == "pld":
        ledger = library("dp_accounting.pld", "fed").PLDAccountant()
    else:
        raise FinalError(f"there is no accountant {accountant!r}", hint=f"one of {', '.join(ACCOUNTANTS)}")
    ledger.compose(accounting.SelfComposedDpEvent(event, steps))
    return float(ledger.get_epsilon(delta))
