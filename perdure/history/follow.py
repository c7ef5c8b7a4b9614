"""Keeps up with a run: one replay, then its changes, and a replay again where these do not do."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError

from perdure.errors import MalformedPayload
from perdure.history.glance import glance
from perdure.history.live import LiveModel
from perdure.history.model import RunModel
from perdure.history.open_calls import with_open_calls
from perdure.history.read import as_described, read_described
from perdure.monitoring.descriptions import RunDescription, described
from perdure.protocol.payloads import RunChanges

CHANGES_TIMEOUT: Final = timedelta(seconds=5)
"""How long a worker has for its answer; a replay takes about as long."""

NO_ANSWER_PAUSE_S: Final = 15.0
"""Seconds for which no worker is asked after one has not answered."""

MAX_BEHIND_COUNT: Final = 5
"""Answers in a row of a worker that is behind the replay before the history is replayed again."""


class RunFollower:
    """A run that is looked at again and again."""

    def __init__(self, temporal: Client, id: str) -> None:
        self._temporal, self._id = temporal, id
        self._live: LiveModel | None = None
        self._seen: tuple[str, int] = ("", 0)
        self._no_answer_until = 0.0
        self._behind_count = 0
        self.replay_count = 0

    async def model(self) -> RunModel:
        """The run as it is now. Raises UsageError when the server knows no such run, or has no history of it.

        What a replay alone can say, such as the values of nodes, may be older than the rest.
        """
        description = await described(self._temporal, self._id)
        seen = description.info.execution.run_id, description.info.history_length
        live = self._live
        if live is None or (seen != self._seen and not await self._has_caught_up(live, description)):
            live = LiveModel(await read_described(self._temporal, self._id, description))
            self.replay_count += 1
        self._live, self._seen = live, seen
        model = live.model()
        model = as_described(model, description)
        return with_open_calls(model, description, now_ms=int(time.time() * 1000))

    async def glance(self) -> RunModel | None:
        """What is known before the first replay is there; None if no worker and no result says it in time."""
        return await glance(self._temporal, self._id)

    async def _has_caught_up(self, live: LiveModel, description: RunDescription) -> bool:
        """Whether the changes since the last look are in the model: not those of another execution."""
        if description.closed is not None or description.info.execution.run_id != self._seen[0]:
            return False
        while True:
            position = live.position
            answer = None if position is None else await self._changes(position.count, position.lines)
            if position is None or answer is None:
                return False
            if answer.count < position.count:  # the worker has not come to where the replay is
                self._behind_count += 1
                return self._behind_count < MAX_BEHIND_COUNT
            self._behind_count = 0
            if not live.apply(answer):
                return False
            if live.position is not None and live.position.count >= answer.count:
                return True

    async def _changes(self, since: int, lines: int) -> RunChanges | None:
        """What a worker says has changed; None where none answers."""
        if time.monotonic() < self._no_answer_until:
            return None
        handle = self._temporal.get_workflow_handle(self._id)
        try:
            return await handle.query(
                "changes", args=[since, lines], result_type=RunChanges, rpc_timeout=CHANGES_TIMEOUT
            )
        except (
            *(RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError, MalformedPayload),
            ValueError,  # the SDK, of a rejection for a state that it does not know: the run is paused
        ):
            self._no_answer_until = time.monotonic() + NO_ANSWER_PAUSE_S
            return None
