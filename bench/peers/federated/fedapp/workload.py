"""What every side of the comparison trains: digits by label, a softmax or a perceptron, numpy alone.

The environments of the peers need not hold Perdure, so this is written without it.
"""

from __future__ import annotations

import os
import time
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

CLASSES = 10


def option(name: str, default: str = "0") -> str:
    """What the benchmark asks for, by the environment."""
    return os.environ.get(f"FEDERATED_{name}", default)


@cache
def dealt(sites: int) -> list[tuple[Any, Any]]:
    """Two shards of the digits sorted by label for each site."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 -- the server of a peer needs no data

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(7).permutation(len(y))
    x, y = (x / 16.0).astype(np.float32)[order][360:], y[order].astype(np.int64)[360:]
    shards = np.array_split(np.argsort(y, kind="stable"), 2 * sites)
    deal = np.random.default_rng(7).permutation(len(shards)).reshape(sites, 2)
    return [(x[rows], y[rows]) for rows in (np.concatenate([shards[each] for each in hand]) for hand in deal)]


def first(hidden: int) -> list[Any]:
    """The weights that training begins with: a softmax without `hidden` units."""
    rng = np.random.default_rng(1)
    sizes = [64, hidden, CLASSES] if hidden else [64, CLASSES]
    weights: list[Any] = []
    for size, after in pairwise(sizes):
        spread = 1 / np.sqrt(size) if hidden else 0
        weights += [(rng.standard_normal((size, after)) * spread).astype(np.float32)]
        weights += [np.zeros(after, np.float32)]
    return weights


def trained(weights: list[Any], site: int, sites: int, turn: int) -> tuple[list[Any], int]:
    """The weights after an epoch on the data of a site, and how many samples it has."""
    x, y = dealt(sites)[site]
    weights = [array.copy() for array in weights]
    order = np.random.default_rng([turn, site]).permutation(len(y))
    for start in range(0, len(y), 32):
        rows = order[start : start + 32]
        for array, step in zip(weights, _gradient(weights, x[rows], y[rows]), strict=True):
            array -= np.float32(0.1) * step.astype(np.float32)
    return weights, len(y)


def _gradient(weights: list[Any], x: Any, y: Any) -> list[Any]:
    hidden = np.maximum(x @ weights[0] + weights[1], 0) if len(weights) == 4 else x
    scores = hidden @ weights[-2] + weights[-1]
    shares = np.exp(scores - scores.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    shares[np.arange(len(y)), y] -= 1
    shares /= len(y)
    last = [hidden.T @ shares, shares.sum(0)]
    if len(weights) == 2:
        return last
    back = (shares @ weights[2].T) * (hidden > 0)
    return [x.T @ back, back.sum(0), *last]


def mark() -> None:
    """Notes that a round is over."""
    with open(option("MARKS", os.devnull), "a", encoding="utf-8") as file:
        file.write(f"{time.time()}\n")
