"""Agents for other engines, with ``--agents perdure.agents.engines``: gangs of processes, PyTorch, Ray.

No library is imported before an agent needs it.
"""

from perdure.agents.engines.gang_agents import gang, torch
from perdure.agents.engines.member import GangMember, gang_function

__all__ = ["GangMember", "gang", "gang_function", "torch"]
