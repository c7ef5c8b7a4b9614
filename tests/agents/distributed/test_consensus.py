"""Consensus converges to what the rule promises, by λ2 in each step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perdure.agents.distributed.maths import consensus
from perdure.agents.distributed.maths.chance import generator
from perdure.errors import FinalError

pytestmark = pytest.mark.unit

TOLERANCE = 1e-9


def random_graph(size: int) -> Any:
    rng = np.random.default_rng(3)
    while True:
        above = np.triu(rng.random((size, size)) < 0.35, 1).astype(float)
        adjacency = above + above.T
        if np.all(np.linalg.matrix_power(adjacency + np.eye(size), size) > 0):
            return adjacency


def graph(kind: str) -> Any:
    size = 16 if kind == "hypercube" else 10
    if kind == "random":
        return random_graph(size)
    near: dict[int, list[int]] = {
        "complete": {node: [other for other in range(size) if other != node] for node in range(size)},
        "ring": {node: [(node - 1) % size, (node + 1) % size] for node in range(size)},
        "path": {
            node: [other for other in (node - 1, node + 1) if 0 <= other < size] for node in range(size)
        },
        "star": {0: list(range(1, size)), **{node: [0] for node in range(1, size)}},
        "hypercube": {node: [node ^ (1 << bit) for bit in range(4)] for node in range(size)},
    }[kind]
    return consensus.adjacency_of(near)


CASES = [
    ("complete", "neighbourhood", 0.0, 1),
    ("complete", "metropolis", 0.0, 1),
    ("ring", "neighbourhood", 0.8727, 159),
    ("ring", "metropolis", 0.8727, 159),
    ("path", "neighbourhood", 0.9626, 467),
    ("path", "metropolis", 0.9674, 484),
    ("star", "neighbourhood", 0.5, 34),
    ("star", "metropolis", 0.9, 223),
    ("random", "neighbourhood", 0.6496, 51),
    ("random", "metropolis", 0.8560, 139),
    ("hypercube", "neighbourhood", 0.6, 45),
    ("hypercube", "metropolis", 0.6, 45),
]


@pytest.mark.parametrize(("kind", "rule", "rate", "steps"), CASES)
def test_converges(kind: str, rule: str, rate: float, steps: int) -> None:
    """By node, each seeing its neighbours only: the limit, the steps, and the rate within 1 %."""
    adjacency = graph(kind)
    size = len(adjacency)
    near = [[other for other in range(size) if adjacency[node, other]] for node in range(size)]
    values = [np.array(value) for value in np.random.default_rng(1).standard_normal(size) * 10]
    goal = consensus.limit(adjacency, np.array(values), rule)
    errors: list[float] = []
    while max(abs(float(value) - goal) for value in values) > TOLERANCE:
        errors.append(float(np.linalg.norm(np.array(values) - goal)))
        values = [
            consensus.step(
                values[node],
                [values[other] for other in near[node]],
                consensus.weights_to(len(near[node]), [len(near[other]) for other in near[node]], rule),
            )
            for node in range(size)
        ]
    predicted = consensus.rate(consensus.matrix(adjacency, rule))
    assert predicted == pytest.approx(rate, abs=5e-5)
    assert abs(len(errors) - steps) <= 2
    if len(errors) > 3:
        half = len(errors) // 2
        measured = (errors[-1] / errors[half]) ** (1 / (len(errors) - 1 - half))
        assert measured == pytest.approx(predicted, rel=0.01)
        assert len(errors) <= consensus.steps_needed(errors[0], TOLERANCE, predicted) + 1


@pytest.mark.parametrize(("kind", "off"), [("ring", False), ("star", True), ("path", True), ("random", True)])
def test_the_mean_of_the_neighbourhood_is_the_average_of_regular_graphs_only(kind: str, off: bool) -> None:
    adjacency = graph(kind)
    values = np.random.default_rng(1).standard_normal(len(adjacency)) * 10
    limit = consensus.limit(adjacency, values, "neighbourhood")
    assert (abs(limit - values.mean()) > 0.01) == off
    assert consensus.limit(adjacency, values, "metropolis") == pytest.approx(values.mean(), abs=1e-12)
    matrix = consensus.matrix(adjacency, "neighbourhood")
    assert limit == pytest.approx(float((np.linalg.matrix_power(matrix, 4096) @ values)[0]), abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "expected"), [("ring", 0.9809), ("complete", 0.8889), ("star", 0.9444)], ids=str
)
def test_gossip(kind: str, expected: float) -> None:
    """The squared error falls as expected, averaged over exchanges that their numbers draw."""
    adjacency = graph(kind)
    near = [[int(other) for other in np.flatnonzero(row)] for row in adjacency]
    factor = float(np.sort(np.linalg.eigvalsh(consensus.gossip_matrix(adjacency)))[-2])
    assert factor == pytest.approx(expected, abs=5e-5)
    exchanges, trials = 60, 100
    squares = np.zeros(exchanges + 1)
    for trial in range(trials):
        values = np.random.default_rng(trial).standard_normal(len(near))
        mean = values.mean()
        squares[0] += ((values - mean) ** 2).sum()
        for exchange in range(exchanges):
            pair = list(consensus.gossip_pair(near, generator(trial, exchange)))
            values[pair] = values[pair].mean()
            squares[exchange + 1] += ((values - mean) ** 2).sum()
        assert values.mean() == pytest.approx(mean, abs=1e-12)
    assert squares[-1] / squares[0] <= factor**exchanges


def test_chance_repeats() -> None:
    assert generator(3, "site-1").integers(1000, size=3).tolist() == [
        int(number) for number in generator(3, "site-1").integers(1000, size=3)
    ]
    assert generator(3, "site-1").random() != generator(3, "site-2").random()
    assert generator(7, 2).random() == np.random.default_rng([7, 2]).random()
    assert generator(-1).random() != generator(1).random()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: consensus.matrix(np.array([[0, 1], [0, 0.0]]), "metropolis"), "needs an undirected graph"),
        (lambda: consensus.matrix(np.zeros((2, 2)), "metropolis"), "the graph is in parts"),
        (lambda: consensus.weights_to(1, [1], "mean"), "no consensus rule 'mean'"),
        (lambda: consensus.adjacency_of({0: [1]}), "node 0 names the neighbour 1"),
        (lambda: consensus.gossip_pair([[]], np.random.default_rng(1)), "node 0 has no neighbours"),
        (lambda: consensus.step(np.zeros(2), [np.zeros(3)], [0.5]), r"has the shape \[3\], expected \[2\]"),
    ],
)
def test_refused(call: Any, message: str) -> None:
    with pytest.raises(FinalError, match=message):
        call()
