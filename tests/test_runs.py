"""What a run's handle makes of the SDK's own errors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from perdure.errors import ConnectionFailed
from perdure.runs import Run
from perdure.storage.claim_check import ClaimCheck

pytestmark = pytest.mark.anyio


class Handle:
    """Stands for a workflow whose updates and signals end in `cause`, as the SDK reports it."""

    id = "r"

    def __init__(self, cause: BaseException) -> None:
        self.cause = cause

    async def signal(self, *_: Any, **__: Any) -> None:
        raise self.cause

    async def execute_update(self, *_: Any, **__: Any) -> None:
        raise WorkflowUpdateRPCTimeoutOrCancelledError from self.cause


class Client:
    def __init__(self, cause: BaseException) -> None:
        self.cause = cause

    def get_workflow_handle(self, *_: Any, **__: Any) -> Any:
        return Handle(self.cause)


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (RPCError("too late", RPCStatusCode.DEADLINE_EXCEEDED, b""), ConnectionFailed),
        (asyncio.CancelledError(), asyncio.CancelledError),
    ],
)
async def test_an_answer_that_is_lost_on_its_way_is_reported(
    cause: BaseException, kind: type[BaseException]
) -> None:
    run = Run(Client(cause), "r", ClaimCheck(None, 0))
    with pytest.raises(kind):
        await run.answer("ask", "x")
