"""What a worker records with the result of a call, in the metadata of its payload.

Why: of several attempts the history has the last one only, and of the store it has nothing. The worker that
executes a call knows both, and the metadata adds no event.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from perdure.errors import MalformedPayload
from perdure.graph.values import is_dict
from perdure.protocol.records import from_plain
from perdure.protocol.wire import metadata_of

CALL_RECORD: Final = "call"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """How one activity was executed.

    `host` is the name of the worker's host, "" for a worker without one. `got` and `put` are the bytes that
    were read from the store and written to it, `cached` those that its cache had, `got_ms` and `put_ms` the
    milliseconds that the call waited for them. The others are the attempts before this one, as in
    perdure.engine.attempts: `lost_on` are the hosts of the lost ones that are known, separated by blanks.
    """

    host: str = ""
    got: int = 0
    cached: int = 0
    put: int = 0
    got_ms: float = 0.0
    put_ms: float = 0.0
    transient: int = 0
    lost: int = 0
    blocked: int = 0
    stopped: int = 0
    absent: int = 0
    lost_on: str = ""

    @property
    def earlier(self) -> int:
        """How many attempts before this one are counted."""
        return self.transient + self.lost + self.blocked + self.stopped + self.absent


def recorded_with(payload: Payload | None) -> CallRecord | None:
    """What was recorded with a result; None for nothing, or for what cannot be read."""
    if payload is None:
        return None
    with suppress(MalformedPayload):
        data: Any = metadata_of(RawValue(payload), CALL_RECORD)
        if is_dict(data):
            return from_plain(CallRecord, data)
    return None
