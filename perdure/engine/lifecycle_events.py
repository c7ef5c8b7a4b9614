"""What the parts of the scheduler report to it, for another part to act on.

Nodes contain graphs, and graphs contain nodes: a node opens a graph, whose nodes are queued, the last
of which ends the graph, which may end the node. Three parts, for nodes, graphs and graphs inside nodes,
so depend on each other. They do not hold each other: each reports what has happened, and
`Scheduler.react` is the one place that says which part acts on it.

A report is acted on at once, before `report` returns, and not in a queue: GraphAI begins a graph while
the node that opens it is being started, and ends one while the slot of its last node is still taken.
A queue would start nodes in another order.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TypeAlias

from perdure.engine.state import GraphRun


class GraphEvent(Enum):
    """What has happened to a graph."""

    #: A graph inside a node is on the board, and can begin.
    OPENED = auto()
    #: Nothing in the graph is under way any more: it iterates, or ends.
    IDLE = auto()
    #: A graph inside a node has ended; its outcome says how.
    ENDED = auto()


Report: TypeAlias = Callable[[GraphEvent, GraphRun], None]
