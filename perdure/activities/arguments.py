"""What the activity of an agent is called with."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.common import RawValue

from perdure.errors import MalformedPayload
from perdure.graph.deferred import copied
from perdure.graph.values import Value, is_dict, is_object
from perdure.protocol.payloads import AgentCall, BatchCall
from perdure.protocol.records import from_plain
from perdure.protocol.wire import unpack


def calls_of(arguments: Sequence[RawValue]) -> tuple[bool, list[AgentCall]]:
    """Whether it is a batch, and the calls. Raises MalformedPayload."""
    if len(arguments) != 1:
        raise MalformedPayload(f"an agent takes one argument, its call, and not {len(arguments)}")
    data: Value = unpack(arguments[0])
    if not is_dict(data) or "calls" not in data:
        return False, [from_plain(AgentCall, data)]
    batch = from_plain(BatchCall, data)
    if not batch.calls:
        raise MalformedPayload("there are no calls in the batch")
    deep = {name: value for name, value in batch.shared.items() if is_object(value)}
    return True, [from_plain(AgentCall, {**batch.shared, **copied(deep), **call}) for call in batch.calls]
