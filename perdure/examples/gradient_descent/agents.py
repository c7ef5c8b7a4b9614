"""Gradients at three sites of different sizes, and the descent that one host with all data would make."""

from functools import cache

import numpy as np
from sklearn.datasets import load_digits

from perdure import agent
from perdure.agents.distributed.agents import gradient, sgd_step
from perdure.agents.distributed.plugins import dataset

__all__ = ["gradient", "sgd_step"]


@cache
def all_data():
    """The digits of scikit-learn."""
    x, y = load_digits(return_X_y=True)
    return x / 16.0, y.astype(np.int64)


@dataset("third")
def third(site, context):
    """Sites have 100, 500 and 1,197 of the digits."""
    x, y = all_data()
    rows = np.split(np.arange(len(y)), [100, 600])[int(site)]
    return x[rows], y[rows]


@agent("centralAgent", description="The same descent on all data in one place, compared")
def central(inputs, params):
    """By how much the weights differ from those of central descent."""
    x, y = all_data()
    w, b = np.zeros((64, 10)), np.zeros(10)
    for _ in range(inputs["steps"]):
        logits = x @ w + b
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        shares[np.arange(len(y)), y] -= 1
        w, b = w - params["eta"] * x.T @ shares / len(y), b - params["eta"] * shares.mean(axis=0)
    off = max(np.abs(w - inputs["weights"]["w"]).max(), np.abs(b - inputs["weights"]["b"]).max())
    return {"steps": inputs["steps"], "equalsCentralDescent": bool(off <= 1e-12)}
