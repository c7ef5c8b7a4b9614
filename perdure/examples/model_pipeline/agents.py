"""The agents of this example."""

from perdure.agents.distributed.agents import (
    current_model,
    examples,
    judge,
    push,
    schema,
    statistics,
    train,
    transform,
    validate,
)

__all__ = [
    "current_model",
    "examples",
    "judge",
    "push",
    "schema",
    "statistics",
    "train",
    "transform",
    "validate",
]
