"""Gradient descent on one site, and over many.

A model is three functions (`Model`); softmax regression and a perceptron with one hidden layer are here,
others are registered by the worker's own module. FedProx (Li and others, "Federated Optimization in
Heterogeneous Networks", 2020) adds μ/2 ‖w - w_t‖² to the loss of a site, which holds its update near the
common model.

The mean gradient of several sites equals the gradient over all their samples only if each site weighs n_i /
n. With 1 / N, unequal sites pull the model elsewhere: by 0.475 after 300 steps on the digits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from perdure.agents.distributed.maths.aggregate import weighted_mean
from perdure.agents.distributed.maths.tensors import Array, Tensors
from perdure.errors import FinalError

_SMALLEST_PROBABILITY_FACTOR = 1e-12


class Model(Protocol):
    """What training needs of a model. `x` is (samples, features), `y` are class numbers (samples)."""

    def init(self, params: Mapping[str, Any], seed: int) -> Tensors:
        """The first weights."""
        ...

    def gradient(self, weights: Mapping[str, Array], x: Array, y: Array) -> tuple[Tensors, float]:
        """The gradient of the mean loss over the samples, and that loss."""
        ...

    def scores(self, weights: Mapping[str, Array], x: Array) -> Array:
        """A number for each sample and class, (samples, classes): the largest is the prediction."""
        ...


class Softmax:
    """Softmax regression: weights `w` (features, classes) and `b` (classes), which begin as zeros."""

    def init(self, params: Mapping[str, Any], seed: int) -> Tensors:
        """Zeros: the loss is convex, so that no seed matters."""
        del seed
        dtype = params.get("dtype", "float32")
        features, classes = int(params.get("features", 64)), int(params.get("classes", 10))
        return {"w": np.zeros((features, classes), dtype), "b": np.zeros(classes, dtype)}

    def scores(self, weights: Mapping[str, Array], x: Array) -> Array:
        """The logits."""
        return x @ weights["w"] + weights["b"]

    def gradient(self, weights: Mapping[str, Array], x: Array, y: Array) -> tuple[Tensors, float]:
        """Of the mean cross entropy."""
        slope, loss = _cross_entropy(self.scores(weights, x), y)
        return {"w": x.T @ slope, "b": slope.sum(axis=0)}, loss


class Perceptron:
    """One hidden layer with ReLU: `w1`, `b1`, `w2`, `b2`. The seed draws the weights of both layers."""

    def init(self, params: Mapping[str, Any], seed: int) -> Tensors:
        """Normal numbers over the square root of what feeds each unit; zeros for the biases."""
        dtype = params.get("dtype", "float32")
        features, classes = int(params.get("features", 64)), int(params.get("classes", 10))
        hidden = int(params.get("hidden", 32))
        rng = np.random.default_rng(seed)
        return {
            "w1": (rng.standard_normal((features, hidden)) / np.sqrt(features)).astype(dtype),
            "b1": np.zeros(hidden, dtype),
            "w2": (rng.standard_normal((hidden, classes)) / np.sqrt(hidden)).astype(dtype),
            "b2": np.zeros(classes, dtype),
        }

    def scores(self, weights: Mapping[str, Array], x: Array) -> Array:
        """The logits."""
        return self._hidden(weights, x) @ weights["w2"] + weights["b2"]

    def gradient(self, weights: Mapping[str, Array], x: Array, y: Array) -> tuple[Tensors, float]:
        """Of the mean cross entropy, by backpropagation."""
        hidden = self._hidden(weights, x)
        slope, loss = _cross_entropy(hidden @ weights["w2"] + weights["b2"], y)
        inner = (slope @ weights["w2"].T) * (hidden > 0)
        gradient = {
            "w1": x.T @ inner,
            "b1": inner.sum(axis=0),
            "w2": hidden.T @ slope,
            "b2": slope.sum(axis=0),
        }
        return gradient, loss

    def _hidden(self, weights: Mapping[str, Array], x: Array) -> Array:
        return np.maximum(x @ weights["w1"] + weights["b1"], 0)


def _cross_entropy(logits: Array, y: Array) -> tuple[Array, float]:
    """The slope of the mean loss at each logit, and that loss."""
    rows = np.arange(len(y))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = powers / powers.sum(axis=1, keepdims=True)
    loss = float(-np.log(shares[rows, y] + _SMALLEST_PROBABILITY_FACTOR).mean())
    shares[rows, y] -= 1
    return shares / len(y), loss


def local_sgd(
    model: Model,
    weights: Mapping[str, Array],
    x: Array,
    y: Array,
    rng: np.random.Generator,
    *,
    epochs: int = 1,
    lr: float = 0.1,
    batch: int = 32,
    mu: float = 0.0,
) -> tuple[Tensors, float]:
    """Minibatch descent from `weights`: the new ones in the same dtypes, and the loss of the last batch.

    Each epoch visits all samples once, in an order that `rng` draws. `mu` above 0 is FedProx. Raises
    FinalError if there are no samples, or for an `epochs` or `batch` below 1.
    """
    if len(y) == 0:
        raise FinalError("the training data is empty")
    if epochs < 1 or batch < 1:
        raise FinalError(f"epochs {epochs}, batch {batch}: each must be at least 1")
    local = {name: array.copy() for name, array in weights.items()}
    loss = 0.0
    for _ in range(epochs):
        order = rng.permutation(len(y))
        for start in range(0, len(y), batch):
            rows = order[start : start + batch]
            gradient, loss = model.gradient(local, x[rows], y[rows])
            for name, array in local.items():
                slope = gradient[name]
                if mu:
                    slope = slope + mu * (array - weights[name])
                local[name] = np.asarray(array - (lr * slope).astype(array.dtype))
    return local, loss


def descend(
    weights: Mapping[str, Array],
    gradients: Sequence[Mapping[str, Array]],
    shares: Sequence[float],
    eta: float,
) -> tuple[Tensors, float]:
    """The weights w - η Σ q_i g_i, added in order, and the largest absolute number of that sum.

    `shares` are the numbers of samples (n_i / n), or equal numbers for 1 / N.
    """
    mean = weighted_mean(gradients, shares)
    stepped = {name: np.asarray(array - eta * mean[name], array.dtype) for name, array in weights.items()}
    return stepped, max(float(np.abs(array).max(initial=0.0)) for array in mean.values())
