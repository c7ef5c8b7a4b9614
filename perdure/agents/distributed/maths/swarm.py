"""Swarms that search: particles and ants.

Particle swarm: Kennedy and Eberhart (1995) with the inertia weight of Shi and Eberhart (1998),
v = w v + c1 r1 (p - x) + c2 r2 (l - x). Ants: Dorigo's Ant System (1996), τ = (1 - ρ) τ + Σ 1 / L.
All chance comes from the generator of a step, so a step that is repeated elsewhere is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from perdure.agents.distributed.maths.tensors import Array
from perdure.errors import FinalError

TOPOLOGIES: Final = ("ring", "all")


def moved(
    x: Array,
    v: Array,
    own: Array,
    leader: Array,
    rng: np.random.Generator,
    *,
    w: float = 0.72,
    c1: float = 1.49,
    c2: float = 1.49,
) -> tuple[Array, Array]:
    """The next position and velocity of a particle, from its best position (`own`) and that of its group."""
    if not x.shape == v.shape == own.shape == leader.shape:
        raise FinalError("a particle and its leader have different dimensions")
    velocity = w * v + c1 * rng.random(x.shape) * (own - x) + c2 * rng.random(x.shape) * (leader - x)
    return x + velocity, velocity


def leader_of(index: int, values: Sequence[float], topology: str) -> int:
    """Whose best position a particle follows: of all, or of itself and its two neighbours on a ring."""
    if topology == "all":
        return min(range(len(values)), key=lambda at: values[at])
    if topology == "ring":
        neighbours = [(index + offset) % len(values) for offset in (-1, 0, 1)]
        return min(neighbours, key=lambda at: values[at])
    raise FinalError(f"there is no topology {topology!r}", hint=f"one of {', '.join(TOPOLOGIES)}")


def distances(cities: Sequence[Sequence[float]]) -> Array:
    """Euclidean distances between all cities, (n, n). Raises FinalError for fewer than two cities."""
    points = np.array(cities, float)
    if points.ndim != 2 or len(points) < 2:
        raise FinalError("a tour needs at least two cities, each a list of coordinates")
    return np.sqrt(np.square(points[:, None] - points[None]).sum(axis=2))


def tour_length(tour: Sequence[int], distance: Array) -> float:
    """The length of a closed tour."""
    return float(sum(distance[a, b] for a, b in pairwise([*tour, tour[0]])))


def ant_tour(
    distance: Array, trail: Array, start: int, rng: np.random.Generator, *, alpha: float, beta: float
) -> list[int]:
    """One ant's tour: the next city by trail^alpha / distance^beta, among those not yet visited."""
    size = len(distance)
    gaps = np.where(distance > 0, distance, np.finfo(float).tiny ** 0.25)
    appeal: Any = np.power(trail, alpha) * np.power(gaps, -beta)
    tour = [start]
    left = [city for city in range(size) if city != start]
    while left:
        shares: Any = np.cumsum(appeal[tour[-1], left])
        choice = int(np.searchsorted(shares, float(rng.random()) * float(shares[-1]), side="right"))
        tour.append(left.pop(min(choice, len(left) - 1)))
    return tour


def two_opt(tour: Sequence[int], distance: Array) -> list[int]:
    """Reverses parts of a closed tour as long as that makes it shorter; the first city stays first."""
    best = list(tour)
    size = len(best)
    improved = True
    while improved:
        improved = False
        for left in range(size - 1):
            for right in range(left + 2, size - (left == 0)):
                a, b, c, d = best[left], best[left + 1], best[right], best[(right + 1) % size]
                if distance[a, c] + distance[b, d] < distance[a, b] + distance[c, d] - 1e-12:
                    best[left + 1 : right + 1] = reversed(best[left + 1 : right + 1])
                    improved = True
    return best


def evaporated(trail: Array, tours: Sequence[tuple[Sequence[int], float]], evaporation: float) -> Array:
    """The next trail: less of the old one, and 1 / length on both directions of each edge of each tour."""
    if not 0 <= evaporation <= 1:
        raise FinalError(f"evaporation {evaporation}: expected 0 to 1")
    result = trail * (1 - evaporation)
    for tour, length in tours:
        for a, b in pairwise([*tour, tour[0]]):
            result[a, b] += 1 / length
            result[b, a] += 1 / length
    return result
