"""The agents of this example."""

from perdure.agents.distributed.agents import assign, route, swap

__all__ = ["assign", "route", "swap"]
