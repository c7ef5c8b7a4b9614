"""What the parts of the scheduler report to it, for another part to act on.

Nodes contain graphs, and graphs contain nodes: a node opens a graph, whose nodes are queued, the last
of which ends the graph, which may end the node. Three parts, for nodes, graphs and graphs inside nodes,
so depend on each other. They do not hold each other: each reports what has happened, and the scheduler,
which makes all of them, is the one place that says which part acts on it.

A report is acted on at once, before the call returns, and not in a queue: GraphAI begins a graph while
the node that opens it is being started, and ends one while the slot of its last node is still taken.
A queue would start nodes in another order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from perdure.engine.state import GraphRun


def _unconnected(run: GraphRun) -> None:
    raise AssertionError(f"nothing acts on what happens to graph {run.id}")


# Plain calls, with no name of an event to look up: there are three for every row of a map.
@dataclass(slots=True)
class GraphEvents:
    """What acts on each event of a graph; the scheduler fills this in when it has all of its parts."""

    #: A graph inside a node is on the board, and can begin.
    opened: Callable[[GraphRun], None] = _unconnected
    #: Nothing in the graph is under way any more, so it iterates or ends.
    idle: Callable[[GraphRun], None] = _unconnected
    #: A graph inside a node has ended; its `outcome` says how.
    ended: Callable[[GraphRun], None] = _unconnected
