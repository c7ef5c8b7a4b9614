"""What holds of every rule that makes one update of many."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.agents.distributed.maths import aggregate, optimizers
from perdure.agents.distributed.maths.tensors import Tensors, add, digest, flat, norm, shaped
from perdure.errors import FinalError

pytestmark = pytest.mark.unit

SHAPES = {"w": (3, 2), "b": (2,)}


def update(seed: int, dtype: str = "float32") -> Tensors:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in SHAPES.items()}


UPDATES = [update(seed) for seed in range(9)]

counts = st.lists(st.integers(1, 1000), min_size=1, max_size=9)


def same(left: Tensors, right: Tensors) -> bool:
    return digest(left) == digest(right)


@settings(max_examples=50, deadline=None)
@given(counts)
def test_the_mean_adds_in_the_order_of_the_rows(weights: list[int]) -> None:
    total = sum(weights)
    chosen = UPDATES[: len(weights)]
    expected = {name: array * (weights[0] / total) for name, array in chosen[0].items()}
    for each, weight in zip(chosen[1:], weights[1:], strict=True):
        expected = {name: array + each[name] * (weight / total) for name, array in expected.items()}
    mean = aggregate.weighted_mean(chosen, weights)
    assert same(mean, expected)
    assert {array.dtype for array in mean.values()} == {np.dtype("float32")}


@settings(max_examples=50, deadline=None)
@given(counts, st.randoms(use_true_random=False))
def test_the_mean_is_that_of_any_order_up_to_rounding(weights: list[int], random: Any) -> None:
    pairs = list(zip(UPDATES, weights, strict=False))
    mean = aggregate.weighted_mean(*zip(*pairs, strict=True))
    random.shuffle(pairs)
    other = aggregate.weighted_mean(*zip(*pairs, strict=True))
    assert np.allclose(flat(mean), flat(other), atol=1e-6)


def test_one_update_is_its_own_mean() -> None:
    assert same(aggregate.weighted_mean([UPDATES[0]], [37]), UPDATES[0])


def test_a_site_that_counts_double_weighs_as_two_of_it() -> None:
    twice = aggregate.weighted_mean(UPDATES[:2], [2, 1])
    three = aggregate.weighted_mean([UPDATES[0], UPDATES[0], UPDATES[1]], [1, 1, 1])
    assert np.allclose(flat(twice), flat(three), atol=1e-6)


def test_the_mean_leaves_the_updates_as_they_are() -> None:
    before = [digest(each) for each in UPDATES]
    aggregate.weighted_mean(UPDATES, [1] * len(UPDATES))
    assert [digest(each) for each in UPDATES] == before


RULES = {
    "mean": lambda updates: aggregate.weighted_mean(updates, [1] * len(updates)),
    "median": aggregate.median,
    "trimmed mean": lambda updates: aggregate.trimmed_mean(updates, 0.2),
    "Krum": lambda updates: aggregate.krum(updates, 2),
    "multi-Krum": lambda updates: aggregate.krum(updates, 2, 4),
    "buffer": lambda updates: aggregate.buffered(updates, [0] * len(updates)),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_equal_updates_are_what_they_are(rule: Any) -> None:
    result = rule([UPDATES[0]] * 8)
    assert list(result) == list(SHAPES)
    assert [array.dtype for array in result.values()] == [np.dtype("float32")] * 2
    assert np.allclose(flat(result), flat(UPDATES[0]), atol=1e-6)


@pytest.mark.parametrize("name", ["median", "trimmed mean", "Krum", "multi-Krum"])
def test_two_liars_do_not_move_a_robust_rule(name: str) -> None:
    honest = [
        add(UPDATES[0], {key: array * 0.01 for key, array in update(seed).items()}) for seed in range(8)
    ]
    lies = [{key: array * 1e6 for key, array in update(seed).items()} for seed in (20, 21)]
    result = RULES[name]([lies[0], *honest, lies[1]])
    assert np.abs(flat(result) - flat(UPDATES[0])).max() < 0.1
    assert np.abs(flat(RULES["mean"]([lies[0], *honest, lies[1]])) - flat(UPDATES[0])).max() > 1000


def test_krum_chooses_in_the_order_of_the_rows() -> None:
    updates = [{"w": np.array([value], float)} for value in (5.0, 1.1, 90.0, 1.01, 1.2, 0.7, 1.5)]
    assert aggregate.krum_choice(updates, 2, 3) == [1, 3, 4]
    assert aggregate.krum_choice(updates, 2) == [4]


def test_age_weighs_down() -> None:
    deltas = [{"w": np.array([1.0])}, {"w": np.array([1.0])}]
    assert aggregate.buffered(deltas, [0, 3])["w"].tolist() == [0.75]


OTHER = {"w": np.zeros((2, 3), np.float32), "b": np.zeros(2, np.float32)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: aggregate.weighted_mean([], []), "the weighted mean: there are no updates"),
        (lambda: aggregate.weighted_mean(UPDATES[:2], [0, 0]), "the weights of the updates add up to 0"),
        (lambda: aggregate.weighted_mean(UPDATES[:2], [3, -1]), "an update has the weight -1"),
        (
            lambda: aggregate.weighted_mean([UPDATES[0], OTHER], [1, 1]),
            r"an update.w: has the shape \[2, 3\], expected \[3, 2\]",
        ),
        (lambda: aggregate.median([UPDATES[0], {"w": OTHER["w"]}]), "has the arrays w, expected w, b"),
        (lambda: aggregate.trimmed_mean(UPDATES, 0.5), "trim 0.5: expected a share"),
        (lambda: aggregate.krum(UPDATES[:6], 2), "6 updates cannot tolerate 2 byzantine ones"),
        (lambda: aggregate.krum(UPDATES, 2, 10), "cannot choose 10 of 9"),
        (lambda: aggregate.buffered(UPDATES[:1], [-1]), "an age is negative"),
        (lambda: aggregate.WeightedMean(1).result(), "there are no updates"),
        (lambda: shaped(np.zeros(9), UPDATES[0]), "a vector of 9 numbers does not fill arrays of 8"),
    ],
)
def test_refused(call: Any, message: str) -> None:
    with pytest.raises(FinalError, match=message):
        call()


def test_a_digest_tells_bits_apart() -> None:
    some = {"w": np.array([0.0, 1.0], np.float32)}
    others = [
        {"w": np.array([-0.0, 1.0], np.float32)},
        {"w": np.array([0.0, 1.0], np.float64)},
        {"w": np.array([[0.0, 1.0]], np.float32)},
        {"v": np.array([0.0, 1.0], np.float32)},
        {},
    ]
    assert len({digest(each) for each in [some, *others]}) == 6
    assert digest(some) == digest({"w": np.array([0.0, 9.0, 1.0], ">f4")[::2]})


def test_flat_and_back() -> None:
    assert same(shaped(flat(UPDATES[0]), UPDATES[0]), UPDATES[0])
    assert norm({"a": np.array([3.0]), "b": np.array([[4.0]])}) == 5


def test_the_correction_of_bias_is_that_of_flower() -> None:
    weights, delta = {"w": np.array([1.0])}, {"w": np.array([0.5])}
    moments = optimizers.Moments()
    plain = optimizers.Adaptive(eta=0.1)
    corrected = optimizers.Adaptive(eta=0.1, bias_correction=True)
    without, _ = optimizers.adaptive_step(weights, delta, moments, plain)
    with_it, after = optimizers.adaptive_step(weights, delta, moments, corrected)
    factor = (1 - 0.99**2) ** 0.5 / (1 - 0.9**2)
    assert (with_it["w"] - 1) == pytest.approx((without["w"] - 1) * factor)
    assert after.rounds == 1
    assert without["w"][0] == pytest.approx(1 + 0.1 * 0.05 / (0.0025**0.5 + 1e-3))
