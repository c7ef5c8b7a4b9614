"""Aggregation rules: from the updates of many sites, one.

Every rule takes the updates in the order of the rows, and adds in that order: floating point sums depend on
the order, and rows have one that arrival has not. So a repeated or replayed aggregation has the same bits.
The updates may be a sequence that reads one when it is asked for it: a rule looks at one after the other,
once or, for Krum, twice, and holds no more than one.

The mean follows McMahan and others, "Communication-Efficient Learning of Deep Networks from Decentralized
Data" (2017). Median and trimmed mean: Yin and others, "Byzantine-Robust Distributed Learning" (2018). Krum:
Blanchard and others, "Machine Learning with Adversaries" (2017). Staleness: Nguyen and others, "Federated
Learning with Buffered Asynchronous Aggregation" (2022).

The robust rules assume that honest sites resemble each other. With sites that hold different labels they
reject honest updates too: on the digits split by label, Krum reaches 0.29 where the mean reaches 0.91.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from perdure.agents.distributed.maths.columns import Columns
from perdure.agents.distributed.maths.tensors import (
    Array,
    Tensors,
    add_scaled,
    flat,
    require_alike,
    require_some,
    scale,
    shaped,
    shapes,
)
from perdure.errors import FinalError


class WeightedMean:
    """Σ (n_k / N) w_k, in constant memory: one sum, whatever the number of sites.

    `total` is N, which has to be known before the first update. Sums are in the dtype of the updates.
    """

    def __init__(self, total: float) -> None:
        if not total > 0:
            raise FinalError(f"the weights of the updates add up to {total}", hint="each needs n above 0")
        self._total = total
        self._sum: Tensors | None = None

    def add(self, update: Mapping[str, Array], weight: float) -> None:
        """Adds an update that weighs `weight` of the total. Raises FinalError for other names or shapes."""
        if not weight >= 0:
            raise FinalError(f"an update has the weight {weight}", hint="n is a number of samples")
        share = weight / self._total
        if self._sum is None:
            self._sum = scale(update, share)
            return
        require_alike(self._sum, update, "an update")
        for name, array in self._sum.items():
            add_scaled(array, update[name], share)

    def result(self) -> Tensors:
        """The mean of what was added. Raises FinalError if that is nothing."""
        if self._sum is None:
            raise FinalError("there are no updates to aggregate", hint="check which rows were missing")
        return self._sum


def weighted_mean(updates: Sequence[Mapping[str, Array]], weights: Sequence[float]) -> Tensors:
    """Σ (n_k / N) w_k in the order of the updates; with one update, exactly that one."""
    require_some(updates, "the weighted mean")
    mean = WeightedMean(sum(weights))
    for update, weight in zip(updates, weights, strict=True):
        mean.add(update, weight)
    return mean.result()


def median(updates: Sequence[Mapping[str, Array]]) -> Tensors:
    """The median of each number; of an even count, the mean of the two in the middle."""
    with Columns(updates, "the median") as columns:
        return columns.reduced(lambda stacked: np.median(stacked, axis=0))


def trimmed_mean(updates: Sequence[Mapping[str, Array]], share: float) -> Tensors:
    """The mean of each number without the `share` smallest and the `share` largest ones.

    `share` is from 0 to below 0.5; the count cut at each end is rounded down.
    """
    if not 0 <= share < 0.5:
        raise FinalError(f"trim {share}: expected a share from 0 to below 0.5")
    cut = int(share * len(updates))
    kept = slice(cut, len(updates) - cut)
    with Columns(updates, "the trimmed mean") as columns:
        return columns.reduced(lambda stacked: np.sort(stacked, axis=0)[kept].mean(axis=0))


def krum_scores(updates: Sequence[Mapping[str, Array]], byzantine: int) -> list[float]:
    """For each update, the sum of the squared distances to its n - f - 2 nearest others, f being `byzantine`.

    Raises FinalError unless there are 2f + 3 updates: with fewer, f attackers can win.
    """
    require_some(updates, "Krum")
    count = len(updates)
    if byzantine < 0 or count < 2 * byzantine + 3:
        raise FinalError(
            f"Krum: {count} updates cannot tolerate {byzantine} byzantine ones",
            hint=f"{byzantine} need at least {2 * max(byzantine, 0) + 3} updates",
        )
    distances = np.zeros((count, count))
    with Columns(updates, "Krum") as columns:
        for left in range(count):
            vector = columns.vector(left)
            for right in range(left):
                gap = np.square(vector - columns.vector(right), dtype=np.float64).sum()
                distances[left, right] = distances[right, left] = gap
    neighbours = np.sort(distances, axis=1)[:, 1 : count - byzantine - 1]
    return [float(score) for score in neighbours.sum(axis=1)]


def krum_choice(updates: Sequence[Mapping[str, Array]], byzantine: int, chosen: int = 1) -> list[int]:
    """The indices of the `chosen` updates with the lowest Krum scores, in the order of the rows."""
    if not 1 <= chosen <= len(updates):
        raise FinalError(f"multi-Krum: cannot choose {chosen} of {len(updates)} updates")
    scores = krum_scores(updates, byzantine)
    return sorted(sorted(range(len(updates)), key=lambda index: scores[index])[:chosen])


def krum(updates: Sequence[Mapping[str, Array]], byzantine: int, chosen: int = 1) -> Tensors:
    """Krum for one `chosen` update, multi-Krum for more: their plain mean."""
    indices = krum_choice(updates, byzantine, chosen)
    mean = WeightedMean(len(indices))
    for index in indices:
        mean.add(updates[index], 1)
    return mean.result()


def buffered(deltas: Sequence[Mapping[str, Array]], ages: Sequence[int]) -> Tensors:
    """FedBuff: the mean of the deltas, each divided by √(1 + age).

    The age of a delta is the number of versions by which the model has moved since the site received it.
    """
    require_some(deltas, "the buffer")
    if any(age < 0 for age in ages):
        raise FinalError(f"the buffer: an age is negative: {min(ages)}")
    first: Tensors = {}
    total = np.zeros(0)
    for delta, age in zip(deltas, ages, strict=True):
        if not first:
            first, total = shapes(delta), np.zeros_like(flat(delta))
        require_alike(first, delta, "an update")
        total = total + flat(delta) / float(np.sqrt(1 + age))
    return shaped(total / len(deltas), first)
