"""The result of a run that may be older than the keys with which payloads are signed."""

from __future__ import annotations

from typing import Any

from temporalio.client import WorkflowHandle

from perdure.errors import MalformedPayload
from perdure.protocol.payloads import RunResult
from perdure.protocol.wire import began_ms


async def result_of(handle: WorkflowHandle[Any, Any]) -> RunResult:
    """Waits for the end of a run. Raises what WorkflowHandle.result raises, and MalformedPayload."""
    try:
        return await handle.result()
    except MalformedPayload:  # unsigned, perhaps because there were no keys when it began
        info = (await handle.describe()).raw_info
        token = began_ms.set(info.start_time.ToMilliseconds())
        try:
            return await handle.result()
        finally:
            began_ms.reset(token)
