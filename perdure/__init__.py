"""Perdure runs declarative data-flow graphs for agentic AI, durably, on Temporal.

The public names load on first use, so that importing perdure costs next to nothing and brings
no third-party library into a workflow's sandbox.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from perdure.version import VERSION as __version__

if TYPE_CHECKING:
    from perdure.agents.agent import AgentContext as AgentContext
    from perdure.agents.agent import Sample as Sample
    from perdure.agents.agent import agent as agent
    from perdure.client import connect as connect
    from perdure.engine.inbox.events import ExternalEvent as ExternalEvent
    from perdure.engine.messages import Quotas as Quotas
    from perdure.engine.messages import RunOptions as RunOptions
    from perdure.worker import serving as serving
    from perdure.workflows.run_graph import graph_request as graph_request
    from perdure.workflows.run_graph import run_graph as run_graph


_HOMES = {
    "agent": "perdure.agents.agent",
    "AgentContext": "perdure.agents.agent",
    "Sample": "perdure.agents.agent",
    "ExternalEvent": "perdure.engine.inbox.events",
    "Quotas": "perdure.engine.messages",
    "RunOptions": "perdure.engine.messages",
    "connect": "perdure.client",
    "graph_request": "perdure.workflows.run_graph",
    "run_graph": "perdure.workflows.run_graph",
    "serving": "perdure.worker",
}

__all__ = [
    "AgentContext",
    "ExternalEvent",
    "Quotas",
    "RunOptions",
    "Sample",
    "__version__",
    "agent",
    "connect",
    "graph_request",
    "run_graph",
    "serving",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'perdure' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
