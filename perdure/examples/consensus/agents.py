"""The agents of this example."""

from perdure.agents.distributed.agents import consensus_step, spread

__all__ = ["consensus_step", "spread"]
