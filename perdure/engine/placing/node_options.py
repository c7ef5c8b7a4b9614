"""The keys of a node that say how its agent is called, as the options of its calls."""

from __future__ import annotations

from perdure.engine.messages import NodeOptions, SessionOptions
from perdure.graph.javascript import to_number
from perdure.graph.values import Value, is_dict

_PLAIN = NodeOptions()
_OPTION_KEYS = (
    "timeout",
    "queue",
    "placement",
    "backoff",
    "deadline",
    "batch",
    "heartbeat",
    "hedge",
    "session",
)


def options_of(node: dict[str, Value]) -> NodeOptions:
    """The options of a computed node, without what data gives."""
    if not any(key in node for key in _OPTION_KEYS):
        return _PLAIN
    timeout = number_of(node.get("timeout"))
    return NodeOptions(
        timeout=timeout if timeout > 0 else None,
        queue=node.get("queue"),
        placement=node.get("placement"),
        backoff=node.get("backoff"),
        deadline=node.get("deadline"),
        batch=int(node.get("batch", 1)),
        heartbeat=node.get("heartbeat"),
        hedge_after=_hedge_after(node.get("hedge")),
        session=_session_options(node.get("session")),
    )


def _hedge_after(hedge: Value) -> float | None:
    return float(hedge["after"]) if is_dict(hedge) else None


def _session_options(session: Value) -> SessionOptions | None:
    if not is_dict(session):
        return None if session is None else SessionOptions()
    return SessionOptions(checkpoint=int(session.get("checkpoint", 1)), lossy=session.get("lossy") is True)


def number_of(value: Value) -> float:
    """A number as JavaScript's comparisons read it; 0 where it is absent or no number."""
    read = to_number(value)
    return read if read == read else 0
