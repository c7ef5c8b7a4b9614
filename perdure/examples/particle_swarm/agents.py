"""The agents of this example, and the function that the swarm minimizes."""

from perdure import agent
from perdure.agents.distributed.agents import pso_best, pso_birth, pso_move

__all__ = ["pso_best", "pso_birth", "pso_move"]


@agent("objectiveAgent", pure=True, description="Booth's function at the position of a particle")
def objective(inputs):
    """Least at (1, 3), where it is 0."""
    x, y = inputs["particle"]["x"]
    return {**inputs["particle"], "score": (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2}


@agent("minimumAgent", pure=True, description="The minimum with one decimal")
def minimum(inputs):
    """The digits that a search is sure of."""
    return {"x": [round(x, 1) for x in inputs["x"]], "near": inputs["value"] <= 0.001}
