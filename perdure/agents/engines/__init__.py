"""Agents for other engines, with ``--agents perdure.agents.engines``: gangs of processes, PyTorch, Ray.

No library is imported before an agent needs it.
"""

from perdure.agents.engines.gang_agents import gang, torch
from perdure.agents.engines.member import GangMember, gang_function
from perdure.agents.engines.ray_agents import RayActor, ray_actor

__all__ = ["GangMember", "RayActor", "gang", "gang_function", "ray_actor", "torch"]
