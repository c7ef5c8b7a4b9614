"""Chance that repeats: a generator from what a call is about, never from the worker that makes it."""

from __future__ import annotations

from hashlib import sha256

import numpy as np


def generator(*about: int | str) -> np.random.Generator:
    """A generator for these numbers and strings, in this order; the same for the same.

    A number counts as itself if it is not negative, everything else by its hash. Trailing zeros do not count.
    """
    return np.random.default_rng([_word(part) for part in about])


def _word(part: int | str) -> int:
    if isinstance(part, int) and part >= 0:
        return part
    return int.from_bytes(sha256(str(part).encode()).digest()[:8], "big")
