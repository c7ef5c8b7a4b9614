"""Rounds of federated training in one process, as data: what the tests of the curves vary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perdure.agents.distributed.maths import aggregate, compress, evaluate, privacy, sgd
from perdure.agents.distributed.maths.optimizers import Adaptive, Moments, adaptive_step
from perdure.agents.distributed.maths.tensors import Tensors, add, scale, subtract
from tests.support import digits

MODEL = sgd.Softmax()
ATTACKERS = (1, 6)
ROUNDS_SHOWN = (1, 5, 10, 20, 30)

Rule = Callable[[Sequence[Tensors]], Tensors]


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a run trains; what is left out is plain FedAvg with one epoch over sites with few labels."""

    alike: bool = False
    epochs: int = 1
    mu: float = 0.0
    rule: Rule | None = None
    optimizer: Adaptive | None = None
    half: bool = False
    attacked: bool = False
    method: str = "none"
    share: float = 0.1
    noise: float = 0.0

    def curve(self) -> str:
        """The accuracy on what is held out after some rounds."""
        accuracies = [accuracy(weights) for weights in self.rounds(max(ROUNDS_SHOWN))]
        return " ".join(f"{accuracies[shown - 1]:.4f}"[1:] for shown in ROUNDS_SHOWN)

    def rounds(self, count: int) -> list[Tensors]:
        weights, moments = MODEL.init({}, 0), Moments()
        residuals: dict[int, Any] = {}
        draw, noise = np.random.default_rng(5), np.random.default_rng(9)
        after: list[Tensors] = []
        for number in range(1, count + 1):
            sites = sorted(draw.choice(10, 5, replace=False)) if self.half else range(10)
            updates = [self._update(weights, number, int(site), residuals) for site in sites]
            counts = [len(self._data()[site][1]) for site in sites]
            if self.noise:
                deltas = [subtract(update, weights) for update in updates]
                weights = add(weights, privacy.noisy_mean(deltas, 1.0, self.noise, noise))
            else:
                mean = self.rule(updates) if self.rule else aggregate.weighted_mean(updates, counts)
                if self.optimizer is None:
                    weights = mean
                else:
                    step = adaptive_step(weights, subtract(mean, weights), moments, self.optimizer)
                    weights, moments = step
            after.append(weights)
        return after

    def _data(self) -> list[digits.Samples]:
        return digits.alike() if self.alike else digits.by_label()

    def _update(self, weights: Tensors, number: int, site: int, residuals: dict[int, Any]) -> Tensors:
        rng = np.random.default_rng([number, site])
        x, y = self._data()[site]
        update, _ = sgd.local_sgd(MODEL, weights, x, y, rng, epochs=self.epochs, mu=self.mu)
        delta = subtract(update, weights)
        if self.attacked and site in ATTACKERS:
            return add(weights, scale(delta, -10))
        if self.method == "none":
            return update
        sent, residuals[site] = compress.compress(delta, residuals.get(site), self.method, self.share)
        return add(weights, compress.restore(sent, weights, self.method))


def accuracy(weights: Tensors) -> float:
    x, y = digits.held_out()
    return evaluate.score(MODEL.scores(weights, x).argmax(axis=1), y, 10).accuracy
