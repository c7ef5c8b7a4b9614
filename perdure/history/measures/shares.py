"""Quantiles of times, and shares with their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

_SHARES: Final = (0.5, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Of measured times, in seconds: the nearest ranks."""

    count: int
    p50: float
    p95: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Quantiles:
        """Of these; without any, all are 0."""
        ranked = sorted(seconds)
        at = [ranked[max(math.ceil(share * len(ranked)) - 1, 0)] if ranked else 0.0 for share in _SHARES]
        return cls(len(ranked), *at)


@dataclass(frozen=True, slots=True)
class Share:
    """A share of `n` with its 95 % interval by Wilson: errors of units, or correct ones of a test set."""

    count: float
    n: float

    @property
    def value(self) -> float:
        """From 0 to 1."""
        return self.count / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The lower and the upper end."""
        z = NormalDist().inv_cdf(0.975)
        z2 = z**2
        middle = (self.value + z2 / (2 * self.n)) / (1 + z2 / self.n)
        variance = self.value * (1 - self.value) / self.n + z2 / (4 * self.n**2)
        half = z * math.sqrt(variance) / (1 + z2 / self.n)
        return max(middle - half, 0.0), min(middle + half, 1.0)
