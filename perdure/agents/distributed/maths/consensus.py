"""Agreement without a coordinator: each node averages with its neighbours, x(k+1) = W x(k).

Two rules for W, which are often confused:

- "neighbourhood": each node takes the mean of itself and its neighbours, W = (D + I)⁻¹ (A + I). On an
  irregular graph this converges to the mean weighted by degree + 1, not to the average.
- "metropolis": w_ij = 1 / (1 + max(d_i, d_j)). W is doubly stochastic, so the limit is the average
  (Xiao and Boyd, "Fast Linear Iterations for Distributed Averaging", 2004).

The error falls by λ2 in each step, the second largest absolute eigenvalue of W. Gossip is the same with one
random pair at a time (Boyd and others, "Randomized Gossip Algorithms", 2006).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from perdure.agents.distributed.maths.tensors import Array
from perdure.errors import FinalError

RULES: Final = ("neighbourhood", "metropolis")


def weights_to(degree: int, degrees: Sequence[int], rule: str) -> list[float]:
    """What a node of `degree` gives its neighbours, which have `degrees`; it keeps what is left of 1."""
    if rule == "metropolis":
        return [1 / (1 + max(degree, other)) for other in degrees]
    if rule == "neighbourhood":
        return [1 / (1 + degree)] * len(degrees)
    raise FinalError(f"there is no consensus rule {rule!r}", hint=f"one of {', '.join(RULES)}")


def step(own: Array, others: Sequence[Array], weights: Sequence[float]) -> Array:
    """x_i + Σ_j w_ij (x_j - x_i), the neighbours in order: the next value of one node."""
    result = own
    for other, weight in zip(others, weights, strict=True):
        if other.shape != own.shape:
            raise FinalError(f"a neighbour has the shape {list(other.shape)}, expected {list(own.shape)}")
        result = result + weight * (other - own)
    return result


def matrix(adjacency: Array, rule: str) -> Array:
    """W for an undirected graph: `adjacency` is (n, n), symmetric, of zeros and ones.

    Raises FinalError for another matrix, or for a graph in parts, which never agree.
    """
    degrees = _degrees(adjacency)
    size = len(degrees)
    result = np.zeros((size, size))
    for node in range(size):
        neighbours = [other for other in range(size) if adjacency[node, other]]
        result[node, neighbours] = weights_to(degrees[node], [degrees[other] for other in neighbours], rule)
        result[node, node] = 1 - result[node].sum()
    return result


def limit(adjacency: Array, values: Array, rule: str) -> Array:
    """What all nodes converge to: the average, or the mean weighted by degree + 1."""
    degrees = np.array(_degrees(adjacency), float)
    shares = degrees + 1 if rule == "neighbourhood" else np.ones(len(degrees))
    return np.tensordot(shares / shares.sum(), values, axes=1)


def rate(transition: Array) -> float:
    """λ2: the factor by which the distance to the limit falls in each step, in the long run."""
    if len(transition) < 2:
        return 0.0
    return float(np.sort(np.abs(np.linalg.eigvals(transition)))[-2])


def steps_needed(distance: float, tolerance: float, factor: float) -> int:
    """The steps until `distance` falls to `tolerance` by `factor` each, rounded up."""
    if distance <= tolerance:
        return 0
    if not 0 < factor < 1:
        return 1
    return math.ceil(math.log(tolerance / distance) / math.log(factor))


def gossip_matrix(adjacency: Array) -> Array:
    """The expected transition of one exchange: a node and one of its neighbours are drawn, and take the mean.

    The expected squared error falls by its second largest eigenvalue with each exchange.
    """
    degrees = _degrees(adjacency)
    size = len(degrees)
    result = np.eye(size)
    for left in range(size):
        for right in range(size):
            if adjacency[left, right]:
                difference = np.zeros(size)
                difference[left], difference[right] = 1, -1
                result -= np.outer(difference, difference) / (2 * size * degrees[left])
    return result


def gossip_pair(neighbours: Sequence[Sequence[int]], rng: np.random.Generator) -> tuple[int, int]:
    """The two nodes of one exchange; `near` lists the neighbours of each node."""
    node = int(rng.integers(len(neighbours)))
    if not neighbours[node]:
        raise FinalError(f"node {node} has no neighbours to gossip with")
    return node, int(neighbours[node][int(rng.integers(len(neighbours[node])))])


def adjacency_of(neighbours: Mapping[int, Sequence[int]]) -> Array:
    """The adjacency matrix of nodes 0 to n - 1 from their lists of neighbours."""
    result = np.zeros((len(neighbours), len(neighbours)))
    for node, others in neighbours.items():
        for other in others:
            if other not in neighbours or other == node:
                raise FinalError(f"node {node} names the neighbour {other}, which is not another node")
            result[node, other] = 1
    return result


def _degrees(adjacency: Array) -> list[int]:
    if adjacency.ndim != 2 or not np.array_equal(adjacency, adjacency.T) or np.any(np.diag(adjacency)):
        raise FinalError("a consensus needs an undirected graph: a symmetric matrix with a zero diagonal")
    reached = {0} if len(adjacency) else set[int]()
    while True:
        more = {int(other) for node in reached for other in np.flatnonzero(adjacency[node])} - reached
        if not more:
            break
        reached |= more
    if len(reached) < len(adjacency):
        raise FinalError("the graph is in parts, which never agree", hint="connect all nodes")
    return [int(degree) for degree in adjacency.sum(axis=1)]
