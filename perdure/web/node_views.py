"""One node as the page shows it: its values, attempts and notices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from perdure.engine.granting.prices import Spent
from perdure.graph.deferred import described
from perdure.graph.text.json_start import json_start
from perdure.graph.values import UNDEFINED, Value
from perdure.history.model import Attempt, NodeModel
from perdure.history.notices import QuestionNotice, notice_name

MAX_VALUE_CHARS: Final = 65_536
"""Characters of a value that are shown; the whole can be downloaded."""


def node_view(
    node: NodeModel,
    values: Mapping[str, Value],
    spent: Spent | None = None,
    notices: Iterable[QuestionNotice] = (),
) -> dict[str, Any]:
    """One node, all of it. `values` are its inputs, params and result, with large ones fetched."""
    return {
        "address": node.address,
        "node": node.node,
        "agent": node.agent,
        "state": node.state,
        "phase": str(node.phase),
        "pass": node.iteration,
        "row": node.row,
        "ready": node.ready,
        "started": node.started,
        "ended": node.ended,
        "retries": node.retries,
        "attempts": [attempt_view(attempt) for attempt in node.attempts],
        "notices": [view for notice in notices for view in _notice_views(notice)],
        "failure": node.failure,
        "console": list(node.console),
        "usage": node.usage,
        "spent": None if spent is None else asdict(spent),
        "rows": None if node.rows is None else {"total": node.rows.total, "done": node.rows.done},
        **{name: shown_value(value) for name, value in values.items()},
    }


def _notice_views(notice: QuestionNotice) -> Iterator[dict[str, Any]]:
    """One notice, once for each of its channels."""
    name = notice_name(notice.event, notice.number)
    for delivery in notice.deliveries:
        view = {"notice": name, "channel": delivery.channel, "phase": str(delivery.phase)}
        yield {**view, "at": notice.at, **attempt_view(delivery.attempt)}


def shown_value(value: Value) -> dict[str, Any] | None:
    """A value as indented JSON, cut at MAX_VALUE_CHARS; None for no value."""
    if value is UNDEFINED:
        return None
    text, chars = json_start(described(value), MAX_VALUE_CHARS)
    return {"text": text, "chars": chars, "cut": chars > MAX_VALUE_CHARS}


def attempt_view(attempt: Attempt) -> dict[str, Any]:
    """One attempt."""
    return {
        "number": attempt.number,
        "worker": attempt.worker,
        "queue": attempt.queue,
        "scheduled": attempt.scheduled,
        "started": attempt.started,
        "ended": attempt.ended,
        "failure": attempt.failure,
        "due": attempt.due,
    }
