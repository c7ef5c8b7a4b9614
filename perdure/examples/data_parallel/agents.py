"""The function that each process of the gang runs, and the agent that judges what it has trained."""

import numpy as np

from perdure import agent
from perdure.agents.engines import GangMember, gang, gang_function

__all__ = ["gang"]

TRUTH = np.array([2.0, -1.0, 0.5, 0.0])


def rows(seed, count):
    """In place of your data: rows, and on which side of a plane they are."""
    x = np.random.default_rng(seed).standard_normal((count, len(TRUTH)))
    return x, (x @ TRUTH > 0).astype(float)


@gang_function("fit")
def fit(member: GangMember, inputs, params):
    """Every rank has its own batches, and takes the same steps along the mean gradient of all."""
    state = member.resume or {"weights": np.zeros(len(TRUTH)), "losses": []}
    weights, losses = state["weights"], state["losses"]
    for step in range(member.step + 1, params["steps"] + 1):
        x, y = rows((params["seed"], step, member.rank), params["batch"])
        chance = 1 / (1 + np.exp(-x @ weights))
        loss = -np.mean(np.log(np.where(y == 1, chance, 1 - chance)))
        *gradient, loss = member.all_reduce(np.append(x.T @ (chance - y) / len(y), loss)) / member.size
        weights = weights - params["rate"] * np.array(gradient)
        if step % params["checkpointEvery"] == 0:
            losses = [*losses, round(float(loss), 4)]
        member.save(step, {"weights": weights, "losses": losses})
    return {"weights": weights.tolist(), "losses": losses}


@agent("accuracyAgent", pure=True, description="The share of rows that a linear model puts on the right side")
def accuracy(inputs):
    """On rows that no rank has seen."""
    x, y = rows(0, 500)
    return {"accuracy": float(np.mean((x @ inputs["weights"] > 0) == (y == 1)))}
