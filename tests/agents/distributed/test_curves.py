"""Federated training gives the curves of reference implementations: accuracy at rounds 1, 5, 10, 20, 30.

The references are the formulas of the papers in numpy, and Flower's and NVFlare's runs of the same workload.
They are the same in float32 and float64, so that no difference of machines changes them.
"""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from perdure.agents.distributed.maths import aggregate, sgd
from perdure.agents.distributed.maths.optimizers import Adaptive
from perdure.agents.distributed.maths.tensors import Tensors, add, subtract
from tests.agents.distributed.training import MODEL, Training, accuracy
from tests.support import digits

pytestmark = pytest.mark.unit


def trim(updates: list[Tensors]) -> Tensors:
    return aggregate.trimmed_mean(updates, 0.2)


def krum(updates: list[Tensors]) -> Tensors:
    return aggregate.krum(updates, 2)


def multi_krum(updates: list[Tensors]) -> Tensors:
    return aggregate.krum(updates, 2, 6)


CURVES = {
    "FedAvg": (Training(), ".6222 .8222 .8750 .9000 .9083"),
    "FedAvg, 5 epochs": (Training(epochs=5), ".5056 .8111 .8944 .9222 .9333"),
    "FedProx": (Training(epochs=5, mu=0.1), ".5194 .8028 .8861 .9111 .9389"),
    "FedAdam": (Training(optimizer=Adaptive(eta=0.03)), ".6278 .8611 .9111 .9250 .9444"),
    "FedYogi": (Training(optimizer=Adaptive(rule="yogi", eta=0.03)), ".6278 .8611 .9139 .9222 .9417"),
    "half of the sites": (Training(half=True), ".2833 .3389 .6111 .6222 .8944"),
    "half of the sites, alike": (Training(half=True, alike=True), ".6750 .8528 .8667 .8917 .9194"),
    "top 10 %": (Training(method="topk"), ".7611 .8667 .8972 .8972 .9028"),
    "top 1 %": (Training(method="topk", share=0.01), ".3194 .5500 .7278 .8806 .9167"),
    "int8": (Training(method="int8"), ".6194 .8194 .8750 .9000 .9083"),
    "noise 0.5": (Training(noise=0.5), ".1861 .4167 .6306 .7472 .8222"),
    "noise 1": (Training(noise=1.0), ".1556 .2472 .3833 .4750 .6278"),
    "mean, alike": (Training(alike=True), ".6972 .8528 .8639 .8917 .9167"),
    "median, alike": (Training(alike=True, rule=aggregate.median), ".7028 .8528 .8750 .8917 .9139"),
    "trimmed mean, alike": (Training(alike=True, rule=trim), ".7222 .8528 .8750 .8944 .9111"),
    "Krum, alike": (Training(alike=True, rule=krum), ".3250 .7944 .8583 .8778 .8972"),
    "multi-Krum, alike": (Training(alike=True, rule=multi_krum), ".6028 .8167 .8833 .9056 .9139"),
    "mean, attacked": (Training(alike=True, attacked=True), ".0472 .0722 .1028 .1028 .1028"),
    "median, attacked": (
        Training(alike=True, attacked=True, rule=aggregate.median),
        ".6333 .8194 .8417 .8833 .8972",
    ),
    "trimmed mean, attacked": (
        Training(alike=True, attacked=True, rule=trim),
        ".6139 .8250 .8472 .8833 .8972",
    ),
    "Krum, attacked": (Training(alike=True, attacked=True, rule=krum), ".3639 .6917 .7944 .8722 .8833"),
    "multi-Krum, attacked": (
        Training(alike=True, attacked=True, rule=multi_krum),
        ".6167 .8500 .8806 .9000 .9083",
    ),
}


@pytest.mark.parametrize(("training", "curve"), CURVES.values(), ids=CURVES)
def test_curve(training: Training, curve: str) -> None:
    assert training.curve() == curve


def test_two_sites() -> None:
    """The curve of Flower's deployment with two SuperNodes, round by round."""
    weights = MODEL.init({}, 0)
    accuracies: list[float] = []
    for number in range(1, 6):
        sites = digits.by_label(2)
        updates = [
            sgd.local_sgd(MODEL, weights, x, y, np.random.default_rng([number, site]))[0]
            for site, (x, y) in enumerate(sites)
        ]
        weights = aggregate.weighted_mean(updates, [len(y) for _, y in sites])
        accuracies.append(accuracy(weights))
    assert [f"{value:.4f}" for value in accuracies] == ["0.4667", "0.7194", "0.7611", "0.8528", "0.8833"]


def test_fedbuff() -> None:
    """Sites of speeds 1 to 4, a buffer of 5: the work of 30 rounds in 54 units of time instead of 120."""
    speeds = [1 + site % 4 for site in range(10)]
    versions = [MODEL.init({}, 0)]
    busy = [(speed, site, 0) for site, speed in enumerate(speeds)]
    heapq.heapify(busy)
    time, done = 0, 0
    buffer: list[tuple[Tensors, int]] = []
    while len(versions) <= 60:
        time, site, since = heapq.heappop(busy)
        x, y = digits.by_label()[site]
        update, _ = sgd.local_sgd(MODEL, versions[since], x, y, np.random.default_rng([done, site]))
        done += 1
        buffer.append((subtract(update, versions[since]), len(versions) - 1 - since))
        if len(buffer) == 5:
            deltas, ages = zip(*buffer, strict=True)
            versions.append(add(versions[-1], aggregate.buffered(deltas, ages)))
            buffer = []
        heapq.heappush(busy, (time + speeds[site], site, len(versions) - 1))
    assert (f"{accuracy(versions[-1]):.4f}", time) == ("0.6250", 54)
