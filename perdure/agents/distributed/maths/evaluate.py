"""How good a model is: accuracy, F1, and the same over many sites."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perdure.agents.distributed.maths.tensors import Array
from perdure.errors import FinalError

_QUANTILE_FACTOR = 1.959963984540054
"""The standard normal quantile of a two-sided interval of 95 %."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Counts and rates of predictions on one set.

    `interval` is Wilson's 95 % interval of the accuracy. `f1` has a number per class, in the order of the
    classes; a class that neither occurs nor is predicted has 0. `micro` equals the accuracy where each sample
    has one class.
    """

    count: int
    correct: int
    accuracy: float
    interval: tuple[float, float]
    f1: tuple[float, ...]
    macro: float
    micro: float


def score(predicted: Array, actual: Array, classes: int) -> Scores:
    """Compares class numbers, two vectors of the same length, from 0 to below `classes`.

    Raises FinalError for an empty set, other lengths, or a class that there is not.
    """
    if predicted.shape != actual.shape or actual.ndim != 1:
        raise FinalError(f"predictions {list(predicted.shape)} and labels {list(actual.shape)} do not match")
    if actual.size == 0:
        raise FinalError("the evaluation set is empty")
    both = np.concatenate([predicted, actual])
    if both.min() < 0 or both.max() >= classes:
        raise FinalError(f"a class is outside 0 to {classes - 1}")
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (actual, predicted), 1)
    hits = np.diag(table)
    f1 = 2 * hits / np.maximum(table.sum(axis=0) + table.sum(axis=1), 1)
    correct, count = int(hits.sum()), int(actual.size)
    return Scores(
        count=count,
        correct=correct,
        accuracy=correct / count,
        interval=wilson(correct, count),
        f1=tuple(float(value) for value in f1),
        macro=float(f1.mean()),
        micro=correct / count,
    )


def wilson(correct: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a rate: both ends lie within 0 and 1, also for 0 or all correct."""
    if not 0 <= correct <= count or count == 0:
        raise FinalError(f"{correct} of {count} is not a rate")
    z2 = _QUANTILE_FACTOR**2
    rate = correct / count
    middle = rate + z2 / (2 * count)
    half = _QUANTILE_FACTOR * math.sqrt(rate * (1 - rate) / count + z2 / (4 * count * count))
    scale = 1 + z2 / count
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def auc(scores: Array, positive: Array) -> float:
    """The area under the ROC curve: how often a positive sample has the higher score, equal ones half.

    `scores` and `positive` (booleans) are vectors of the same length. Raises FinalError unless there are both
    positive and other samples.
    """
    ups = int(positive.sum())
    downs = int(positive.size - ups)
    if not ups or not downs:
        raise FinalError("the area under the curve needs samples of both classes")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[inverse][positive].sum() - ups * (ups + 1) / 2) / (ups * downs))


def over_sites(accuracies: Sequence[float], counts: Sequence[int]) -> tuple[float, int]:
    """Σ (n_k / N) acc_k, and the index of the worst site, which a mean hides. The first of equal ones.

    Raises FinalError if there are no sites, or no samples at all.
    """
    total = sum(counts)
    if not accuracies or total <= 0:
        raise FinalError("there are no sites with samples to evaluate")
    mean = sum(accuracy * (count / total) for accuracy, count in zip(accuracies, counts, strict=True))
    return mean, min(range(len(accuracies)), key=lambda index: accuracies[index])
