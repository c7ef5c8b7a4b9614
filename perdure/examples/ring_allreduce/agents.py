"""The agents of this example: the gradient of a worker on its own rows, and a step along the mean of all."""

import numpy as np

from perdure import agent
from perdure.agents.distributed.agents import ring_step

__all__ = ["ring_step"]

TRUTH = np.array([3.0, -2.0, 1.0, 0.0, 1.0, -1.0, 2.0])


@agent("slopeAgent", description="The gradient of the squared error on the rows of a worker, and the error")
def slope(inputs: dict) -> dict:
    """The first value of the worker in the ring. A real one reads its rows with `context.data`."""
    x = np.random.default_rng(ord(inputs["worker"])).choice([-1.0, 1.0], size=(32, len(TRUTH)))
    error = x @ (np.array(inputs["weights"], float) - TRUTH)
    return {"id": inputs["worker"], "value": [*(x.T @ error / len(x)).tolist(), float(np.mean(error**2))]}


@agent("descentAgent", pure=True, description="A step along the mean gradient")
def descent(inputs: dict, params: dict) -> dict:
    """All workers have the same bits; each has sent `bytes`. The error is that before the step."""
    ranks = inputs["ranks"]
    sums = [rank["value"] for rank in ranks]
    *gradient, error = np.array(sums[0]) / len(ranks)
    return {
        "weights": (np.array(inputs["weights"], float) - params["rate"] * np.array(gradient)).tolist(),
        "error": round(float(error), 6),
        "bytes": ranks[0]["bytes"],
        "same": all(total == sums[0] for total in sums),
        "more": inputs["step"] + 1 < params["steps"],
    }
