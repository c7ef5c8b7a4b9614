"""Calls that share an activity: what it is given, and the answer to each from what it gave."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from temporalio.common import RawValue

from perdure.engine.messages import AgentCompleted, AgentFailed, RunAgent
from perdure.payloads import BatchCall, to_lean
from perdure.wire import pack, unpack
from perdure.workflows.calls import agent_call

OWN: Final = frozenset({"inputs", "path", "key"})
"""What differs from call to call."""


def taken(command: RunAgent, waiting: deque[RunAgent]) -> list[RunAgent]:
    """`command` and those waiting calls that may share its activity; they are taken out of the queue."""
    batch, kept = [command], deque[RunAgent]()
    size = command.options.batch
    while waiting and len(batch) < size:
        other = waiting.popleft()
        alike = other.agent == command.agent and other.options == command.options
        (batch if alike else kept).append(other)
    waiting.extendleft(reversed(kept))
    return batch


def request(batch: list[RunAgent], is_bypassed: bool) -> RawValue:
    """What the activity is given."""
    calls = [to_lean(agent_call(command, is_bypassed)) for command in batch]
    first, *others = calls
    shared = {
        name: value
        for name, value in first.items()
        if name not in OWN and all(name in call and call[name] == value for call in others)
    }
    own = [{name: value for name, value in call.items() if name not in shared} for call in calls]
    return pack(BatchCall(calls=own, shared=shared), limited=False)


def answers(batch: list[RunAgent], result: RawValue) -> list[AgentCompleted | AgentFailed | RunAgent]:
    """The answer to each call; the call itself where the world failed it, to be made again alone."""
    found: list[AgentCompleted | AgentFailed | RunAgent] = []
    for command, answer in zip(batch, unpack(result), strict=True):
        found.append(_answer(command, answer))
    return found


def _answer(command: RunAgent, answer: list[Any]) -> AgentCompleted | AgentFailed | RunAgent:
    match answer:
        case ["completed", value]:
            return AgentCompleted(command.call, value)
        case ["failed", message, state, final]:
            return AgentFailed(command.call, message, state, final)
        case _:
            return command
