"""What the nodes in the graphs of a map say of the map, where only events say something of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

from perdure.engine.maps.quorum import quorum_of
from perdure.engine.state import NodeState
from perdure.errors import BadCall
from perdure.graph.values import Value, is_dict
from perdure.history.model import NodeModel, RowCounts


def may_continue(spec: Mapping[str, Value] | None, inner: Sequence[NodeModel]) -> bool:
    """Whether a node completes although nodes in its graph, `inner`, have failed."""
    params = (spec or {}).get("params")
    if not is_dict(params):
        return False
    if params.get("supressError"):
        return True
    rows = rows_of(inner)
    with suppress(BadCall):  # a quorum that is wrong fails the node
        quorum = quorum_of(params, rows.total)
        return quorum is not None and rows.done >= quorum.needed
    return False


def rows_of(inner: Sequence[NodeModel]) -> RowCounts:
    """The graphs of which a node is known."""
    open_rows = {node.row for node in inner if node.ended is None and node.state == NodeState.EXECUTING}
    failed = {node.row for node in inner if node.failure is not None}
    rows = {node.row for node in inner}
    states: dict[str, Counter[str]] = {}
    for node in inner:
        states.setdefault(node.node, Counter())[node.state] += 1
    done = len(rows - open_rows - failed)
    return RowCounts(total=len(rows), opened=len(rows), done=done, failed=len(failed), states=states)
