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
from typing import Literal, TypeAlias

from perdure.engine.state import GraphRun

# Strings and no Enum: there are three for every row of a map, and a member of an Enum is slow to look up.
GraphEvent: TypeAlias = Literal["opened", "idle", "ended"]
"""What has happened to a graph.

`opened`: a graph inside a node is on the board, and can begin. `idle`: nothing in the graph is under way
any more, so it iterates or ends. `ended`: a graph inside a node has ended; its `outcome` says how.
"""

Report: TypeAlias = Callable[[GraphEvent, GraphRun], None]
