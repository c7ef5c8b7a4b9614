"""Calls that share an activity: its input, and the answer to each from its result."""

from __future__ import annotations

from collections import deque
from dataclasses import fields
from typing import Final

from temporalio.common import RawValue

from perdure.engine.messages import AgentCompleted, AgentFailed, RunAgent
from perdure.engine.outcomes import decoded
from perdure.errors import MalformedPayload
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list
from perdure.protocol.agents import Placement
from perdure.protocol.payloads import AgentCall, BatchCall
from perdure.protocol.records import to_lean
from perdure.protocol.wire import pack
from perdure.workflows.calls import agent_call

PER_CALL_FIELDS: Final = ("inputs", "path", "key")
"""What differs from call to call."""

_NAMES: Final = {item.name for item in fields(AgentCall)} & {item.name for item in fields(RunAgent)}

SHARED_FIELDS: Final = tuple(sorted(_NAMES.difference(PER_CALL_FIELDS)))
"""What may differ."""


def taken(command: RunAgent, waiting: deque[RunAgent]) -> list[RunAgent]:
    """`command` and those waiting calls that may share its activity; they are taken out of the queue."""
    batch, kept = [command], deque[RunAgent]()
    size = command.options.batch
    while waiting and len(batch) < size:
        other = waiting.popleft()
        options = other.options is command.options or other.options == command.options
        alike = options and other.agent == command.agent
        (batch if alike else kept).append(other)
    waiting.extendleft(reversed(kept))
    return batch


def request(batch: list[RunAgent], run: str, placement: Placement) -> RawValue:
    """The input of the activity."""
    shared = to_lean(agent_call(batch[0], run, placement))
    for name in PER_CALL_FIELDS:
        shared.pop(name, None)
    return pack(BatchCall(calls=[_own(command, batch[0]) for command in batch], shared=shared), limited=False)


def _own(command: RunAgent, first: RunAgent) -> dict[str, Value]:
    """The fields of a call that differ from the first one's."""
    own = {name: getattr(command, name) for name in PER_CALL_FIELDS}
    for name in SHARED_FIELDS:
        value = getattr(command, name)
        if not _is_same(value, getattr(first, name)):
            own[name] = value
    return own


def _is_same(value: Value, other: Value) -> bool:
    """Whether both are the same object, or hold the same ones: what is equal may differ, as 1 and true do."""
    if value is other:
        return True
    if not is_dict(value) or not is_dict(other) or len(value) != len(other):
        return False
    return all(other.get(name, UNDEFINED) is item for name, item in value.items())


def answers(batch: list[RunAgent], result: Value) -> list[AgentCompleted | AgentFailed | RunAgent]:
    """The answer to each call; the call itself after a transient failure, to be made again alone.

    Raises MalformedPayload for a result that does not have an answer for each.
    """
    if not (is_list(result) and len(result) == len(batch)):
        raise MalformedPayload(f"it is not a list of {len(batch)} answers")
    return [decoded(command.call, answer) or command for command, answer in zip(batch, result, strict=True)]
