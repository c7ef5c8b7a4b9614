"""The workload of the curves: scikit-learn's digits, 360 held out, 1,437 dealt to sites."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

SEED = 7
HELD_OUT_COUNT = 360
SITES = 10
SHARDS_PER_SITE = 2

Samples = tuple[Any, Any]


@cache
def _all() -> Samples:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(y))
    return (x / 16.0).astype(np.float32)[order], y[order].astype(np.int64)


def held_out() -> Samples:
    x, y = _all()
    return x[:HELD_OUT_COUNT], y[:HELD_OUT_COUNT]


def training() -> Samples:
    x, y = _all()
    return x[HELD_OUT_COUNT:], y[HELD_OUT_COUNT:]


@cache
def by_label(sites: int = SITES) -> list[Samples]:
    """Two shards of the digits sorted by label for each site: most sites have two or three labels."""
    x, y = training()
    shards = np.array_split(np.argsort(y, kind="stable"), sites * SHARDS_PER_SITE)
    deal = np.random.default_rng(SEED).permutation(len(shards)).reshape(sites, SHARDS_PER_SITE)
    rows = [np.concatenate([shards[shard] for shard in hand]) for hand in deal]
    return [(x[mine], y[mine]) for mine in rows]


@cache
def alike(sites: int = SITES) -> list[Samples]:
    """Every tenth row for each site: all have all labels."""
    x, y = training()
    return [(x[start::sites], y[start::sites]) for start in range(sites)]
