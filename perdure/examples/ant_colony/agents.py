"""The agents of this example."""

from perdure.agents.distributed.agents import ant_tour, ant_trail

__all__ = ["ant_tour", "ant_trail"]
