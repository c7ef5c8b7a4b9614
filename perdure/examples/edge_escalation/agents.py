"""The agents of this example; two tiny models in place of yours."""

from itertools import pairwise

from perdure import agent
from perdure.agents.distributed.agents import confidence

__all__ = ["confidence"]

LABELS = ["cup", "can"]


@agent("smallModelAgent", pure=True, description="A linear model of four pixels")
def small(inputs):
    """Scores for a cup, which is bright on the left, and a can, bright on the right."""
    left, right = sum(inputs["pixels"][:2]), sum(inputs["pixels"][2:])
    return {"scores": [0.4 * left, 0.8 * right], "labels": LABELS}


@agent("bigModelAgent", description="A model that also sees the edge between the pixels")
def big(inputs):
    """The brightest edge decides."""
    pixels = inputs["pixels"]
    edges = [abs(left - right) for left, right in pairwise(pixels)]
    return {"label": LABELS[0] if edges.index(max(edges)) == 2 else LABELS[1]}
