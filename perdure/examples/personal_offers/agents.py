"""The agents of this example: a profile and a catalog in place of yours, and a small model that ranks."""

import numpy as np

from perdure import agent
from perdure.agents.distributed.agents import current_model

__all__ = ["current_model"]

PROFILES = {"u1": {"sweet": 0.9, "fresh": 0.2, "hot": 0.7}}
ITEMS = {
    "bread": {"fresh": 0.6},
    "cake": {"sweet": 1.0},
    "cocoa": {"sweet": 0.6, "hot": 0.8},
    "milk": {"fresh": 0.9},
    "tea": {"hot": 1.0},
}
BUNDLED = {"sweet": 1.0, "fresh": 1.0, "hot": 1.0}
"""The weights with which the device was delivered."""


@agent("localProfileAgent", description="What a visitor likes, from the device's own data")
def profile(inputs):
    """Unknown visitors like nothing in particular."""
    return {"likes": PROFILES.get(inputs["user"], {})}


@agent("catalogAgent", description="What a store offers, from the copy on the device")
def catalog(inputs):
    """The same in all stores here."""
    return {"items": ITEMS}


@agent("rankAgent", pure=True, description="Ranks offers by what a visitor likes")
def rank(inputs, params):
    """A linear model: the bundled one, unless another has come from the hub."""
    model, likes = inputs["model"], inputs["likes"]
    weights = model["weights"] if model else BUNDLED
    worth = {trait: float(np.sum(weight)) * likes.get(trait, 0) for trait, weight in weights.items()}
    offers = inputs["offers"]
    scores = {name: sum(worth[trait] * share for trait, share in offers[name].items()) for name in offers}
    best = sorted(scores, key=lambda name: (-scores[name], name))
    return {"items": best[: params["top"]], "by": "hub" if model else "bundled"}
