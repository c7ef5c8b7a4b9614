"""Distributed gradient descent against central: equal if each site weighs its share of the samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perdure.agents.distributed.maths import sgd
from perdure.agents.distributed.maths.tensors import Tensors, flat
from perdure.errors import FinalError
from tests.support import digits

pytestmark = pytest.mark.unit

STEPS = 300
ETA = 0.5
MODEL = sgd.Softmax()
EQUAL = [np.arange(1430)[start::10] for start in range(10)]
UNEQUAL = np.split(np.arange(1437), [10, 30, 70, 130, 200, 400, 600, 900, 1200])


def trained(shards: list[Any], by_samples: bool) -> Tensors:
    x, y = digits.training()
    x = x.astype(np.float64)
    weights = MODEL.init({"dtype": "float64"}, 0)
    for _ in range(STEPS):
        gradients = [MODEL.gradient(weights, x[rows], y[rows])[0] for rows in shards]
        shares = [len(rows) if by_samples else 1 for rows in shards]
        weights, _ = sgd.descend(weights, gradients, shares, ETA)
    return weights


@pytest.fixture(scope="module")
def distance() -> Any:
    central: dict[int, Any] = {}

    def to_central(shards: list[Any], by_samples: bool) -> float:
        rows = np.concatenate(shards)
        if len(rows) not in central:
            central[len(rows)] = flat(trained([rows], True))
        return float(np.abs(central[len(rows)] - flat(trained(shards, by_samples))).max())

    return to_central


@pytest.mark.parametrize(
    ("shards", "by_samples"), [(EQUAL, True), (EQUAL, False), (UNEQUAL, True)], ids=["equal", "1/N", "n_i/n"]
)
def test_equals_central_descent(shards: list[Any], by_samples: bool, distance: Any) -> None:
    assert distance(shards, by_samples) <= 1e-12


def test_equal_weights_of_unequal_sites_do_not(distance: Any) -> None:
    assert round(distance(UNEQUAL, False), 3) == 0.475


def test_is_bitwise_that_of_one_process_which_adds_in_the_order_of_the_sites() -> None:
    x, y = digits.training()
    x = x.astype(np.float64)
    w, b = np.zeros((64, 10)), np.zeros(10)
    total = sum(len(rows) for rows in UNEQUAL)
    for _ in range(STEPS):
        slope_w, slope_b = np.zeros((64, 10)), np.zeros(10)
        for rows in UNEQUAL:
            z = x[rows] @ w + b
            p = np.exp(z - z.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            p[np.arange(len(rows)), y[rows]] -= 1
            p /= len(rows)
            slope_w += (x[rows].T @ p) * (len(rows) / total)
            slope_b += p.sum(axis=0) * (len(rows) / total)
        w, b = w - ETA * slope_w, b - ETA * slope_b
    weights = trained(list(UNEQUAL), True)
    assert np.array_equal(weights["w"], w)
    assert np.array_equal(weights["b"], b)


@pytest.mark.parametrize("model", [sgd.Softmax(), sgd.Perceptron()])
def test_a_gradient_is_the_slope_of_the_loss(model: sgd.Model) -> None:
    x, y = digits.training()
    x, y = x[:40].astype(np.float64), y[:40]
    rng = np.random.default_rng(1)
    start = model.init({"dtype": "float64", "hidden": 5}, 1)
    weights = {name: array + rng.standard_normal(array.shape) / 10 for name, array in start.items()}
    gradient, _ = model.gradient(weights, x, y)
    way = {name: rng.standard_normal(array.shape) for name, array in weights.items()}
    ahead, behind = (
        model.gradient({name: weights[name] + sign * 1e-6 * way[name] for name in way}, x, y)[1]
        for sign in (1, -1)
    )
    slope = sum(float((gradient[name] * way[name]).sum()) for name in way)
    assert (ahead - behind) / 2e-6 == pytest.approx(slope, rel=1e-5)


def test_the_seed_draws_the_perceptron() -> None:
    first, again, other = (sgd.Perceptron().init({"hidden": 3}, seed) for seed in (1, 1, 2))
    assert np.array_equal(flat(first), flat(again))
    assert not np.array_equal(flat(first), flat(other))
    assert [array.shape for array in first.values()] == [(64, 3), (3,), (3, 10), (10,)]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (0, {}, "the training data is empty"),
        (5, {"epochs": 0}, "epochs 0, batch 32: each must be at least 1"),
        (5, {"batch": 0}, "epochs 1, batch 0: each must be at least 1"),
    ],
)
def test_training_is_refused(rows: int, options: dict[str, Any], message: str) -> None:
    x, y = digits.training()
    with pytest.raises(FinalError, match=message):
        sgd.local_sgd(MODEL, MODEL.init({}, 0), x[:rows], y[:rows], np.random.default_rng(1), **options)
