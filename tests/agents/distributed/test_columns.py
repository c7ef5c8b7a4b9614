"""Robust rules look at ranges of numbers: the same bits as with all updates in memory, from a file too."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from perdure.agents.agent import AgentContext
from perdure.agents.blobs import Blob
from perdure.agents.catalog import load_agents
from perdure.agents.distributed.maths import aggregate, columns, tensors
from perdure.agents.distributed.maths.tensors import Tensors, digest, flat
from perdure.errors import FinalError

SHAPES: dict[str, tuple[int, ...]] = {"a": (37, 11), "b": (), "c": (1,), "d": (1001,), "e": (0, 3)}
AVERAGE = load_agents("perdure.agents.distributed.agents")["fedAverageAgent"]


def model(seed: int) -> Tensors:
    rng = np.random.default_rng(seed)
    return {
        name: np.asarray(rng.normal(size=shape), np.float32 if name in "ad" else np.float64)
        for name, shape in SHAPES.items()
    }


def whole(updates: Sequence[Tensors], rule: Callable[[Any], Any]) -> Tensors:
    """A rule for all numbers at once."""
    return {
        name: np.asarray(rule(np.stack([update[name] for update in updates]))).astype(array.dtype)
        for name, array in updates[0].items()
    }


@pytest.fixture(params=["held", "file"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(columns, "STACKED_BYTES", 3_000)
    monkeypatch.setattr(tensors, "BLOCK_COUNT", 100)
    if request.param == "file":
        monkeypatch.setattr(columns, "HELD_BYTES", 1)
    return request.param


@pytest.mark.parametrize("count", [1, 4, 9, 20])
def test_the_bits_are_those_of_all_numbers_at_once(place: str, count: int) -> None:
    updates = [model(seed) for seed in range(count)]
    cut = int(0.2 * count)
    expected = whole(updates, lambda stacked: np.sort(stacked, axis=0)[cut : count - cut].mean(axis=0))
    assert digest(aggregate.trimmed_mean(updates, 0.2)) == digest(expected)
    expected = whole(updates, lambda stacked: np.median(stacked, axis=0))
    assert digest(aggregate.median(updates)) == digest(expected)
    expected = {name: np.zeros_like(array) for name, array in updates[0].items()}
    for update in updates:
        expected = {name: array + update[name] * (1 / count) for name, array in expected.items()}
    assert same_numbers(aggregate.weighted_mean(updates, [1] * count), expected)


def same_numbers(one: Tensors, other: Tensors) -> bool:
    return bool(np.array_equal(flat(one), flat(other)))


def test_distances_are_those_of_whole_updates(place: str) -> None:
    updates = [model(seed) for seed in range(7)]
    vectors = [flat(update) for update in updates]
    gaps = [[np.square(one - other, dtype=np.float64).sum() for other in vectors] for one in vectors]
    expected = [float(sum(row)) for row in np.sort(np.array(gaps), axis=1)[:, 1:5]]
    assert aggregate.krum_scores(updates, 1) == pytest.approx(expected, rel=1e-15)


def test_another_model_is_refused_from_a_file_too(place: str) -> None:
    other = {**model(1), "d": np.zeros(3, np.float32)}
    with pytest.raises(FinalError, match="has the shape"):
        aggregate.median([model(0), other])


class Site:
    """Updates that exist from when they are opened until no one has them."""

    def __init__(self) -> None:
        self.alive = self.most = self.opened = 0

    def update(self, seed: int) -> Blob:
        def read() -> Any:
            self.opened += 1
            made = {"w": np.random.default_rng(seed).normal(size=5_000)}
            self.alive += 1
            self.most = max(self.most, self.alive)
            weakref.finalize(made["w"], self._gone)
            return made

        return Blob(read)

    def _gone(self) -> None:
        self.alive -= 1


RULES: dict[str, tuple[dict[str, Any], int]] = {
    "mean": ({}, 12),
    "adam": ({"optimizer": "adam"}, 12),
    "median": ({"rule": "median"}, 12),
    "trimmed": ({"rule": "trimmed"}, 12),
    "krum": ({"rule": "krum", "byzantine": 2, "chosen": 3}, 15),
    "buffer": ({"rule": "buffer"}, 12),
}


@pytest.mark.parametrize("rule", RULES)
def test_one_update_is_open_at_a_time(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "HELD_BYTES", 1)
    params, opened = RULES[rule]
    site = Site()
    rows = [{"site": seed, "n": seed + 1, "delta": site.update(seed)} for seed in range(12)]
    inputs = {"updates": rows, "weights": {"w": np.zeros(5_000)}}
    gc.collect()
    result = AVERAGE.call(inputs, params, AgentContext())
    assert result["accepted"] == list(range(12))
    assert site.opened == opened
    assert site.most <= 2  # the next one is there before the one before it is dropped


def test_a_refused_update_makes_the_mean_begin_again() -> None:
    site = Site()
    rows: list[dict[str, Any]] = [{"site": seed, "n": 1, "weights": site.update(seed)} for seed in range(4)]
    rows[2]["weights"] = {"w": np.full(5_000, np.nan)}
    weights = {"w": np.zeros(5_000)}
    result = AVERAGE.call({"updates": rows, "weights": weights}, {}, AgentContext())
    without = AVERAGE.call({"updates": [*rows[:2], rows[3]], "weights": weights}, {}, AgentContext())
    assert result["refused"] == [{"site": 2, "why": "it holds NaN or infinity"}]
    assert (result["digest"], result["n"]) == (without["digest"], 3)
    assert site.most <= 2
