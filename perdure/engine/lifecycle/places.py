"""Where a call goes that data places: its task queue, and its session."""

from __future__ import annotations

from typing import Final, cast

from perdure.engine.plan import ComputedPlan
from perdure.engine.state import GraphRun
from perdure.errors import AgentError
from perdure.graph.javascript import to_string
from perdure.graph.template import Template
from perdure.graph.values import Value, is_number

MAX_SHOWN_QUEUE_CHARS: Final = 100
"""Characters of what cannot be the name of a task queue, or an id, that a message repeats."""

MAX_SESSION_ID_CHARS: Final = 200


def places_of(run: GraphRun, plan: ComputedPlan) -> tuple[str | None, str | None]:
    """The queue and the session of a node that data gives, None where it does not. Raises AgentError."""
    if plan.queue is None and plan.session is None:
        return None, None
    return queue_of(run, plan.queue), _session_of(run, plan.session)


def queue_of(run: GraphRun, template: Template | None) -> str | None:
    """The task queue that data gives, None where it does not. Raises AgentError for what cannot be one."""
    if template is None:
        return None
    queue = _value(run, template, "queue")
    if not isinstance(queue, str) or not queue:
        shown = to_string(queue)[:MAX_SHOWN_QUEUE_CHARS]
        raise AgentError(f"queue: {shown!r} is not the name of a task queue", hint="refer to a string")
    return queue


def _session_of(run: GraphRun, template: Template | None) -> str | None:
    """The id of a session, None for a node without one. Raises AgentError for what cannot be an id."""
    if template is None:
        return None
    id = _value(run, template, "session")
    text = to_string(id) if is_number(id) else id
    if not isinstance(text, str) or not 0 < len(text) <= MAX_SESSION_ID_CHARS:
        shown = to_string(id)[:MAX_SHOWN_QUEUE_CHARS]
        hint = f"refer to a number, or to a string of at most {MAX_SESSION_ID_CHARS} characters"
        raise AgentError(f"session: {shown!r} is not the id of a session", hint=hint)
    return text


def _value(run: GraphRun, template: Template, name: str) -> Value:
    return run.resolved.resolve(cast("dict[str, Value]", template.render(run))[name])
