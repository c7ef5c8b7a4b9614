"""Notices of questions: each is delivered by a workflow of its own, which the run starts and leaves.

Why
    A channel may be down for hours, and a run that has its answer must neither wait for it nor lose what it
    had to say. A workflow apart is kept by the server: it outlives the run, its continuations and every
    worker, and retries on its own time.

Invariants
    Its id follows from the question and the event, so a run that is replayed, or reset, says it once.
    A run ends, or continues as new, only when the server has begun the workflows of its notices.
    The run knows the names of channels. Their addresses are the worker's, and in no history.

Rejected: activities of the run. Those of its last question would end with the run, before they had begun.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from math import inf
from typing import Any, Final

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy

from perdure.engine.human_tasks import Notice
from perdure.graph.human_input import DEFAULT_CHANNEL
from perdure.protocol.agents import AgentRegistry
from perdure.protocol.names import NOTICE
from perdure.protocol.payloads import HumanNotice
from perdure.protocol.progress import RunProgress
from perdure.protocol.wire import pack, unpack
from perdure.workflows.activity_options import (
    CALL_DEADLINE,
    HEARTBEAT_TIMEOUT,
    MAX_RETRY_INTERVAL,
    MAX_SUMMARY_CHARS,
    shortened,
)
from perdure.workflows.host import Host, TemporalHost

DELIVERY_TIMEOUT: Final = timedelta(seconds=60)
"""One attempt to deliver a notice on one channel."""

MAX_NOTICE_NAME_COUNT: Final = 100
"""People whom a notice names, and answers that it lists."""

MAX_NOTICE_PATH_CHARS: Final = 500


@workflow.defn(name=NOTICE, sandboxed=False)
class NoticeWorkflow:
    """Delivers one notice on each of its channels. Fails if a channel does not take it within a week."""

    @workflow.run
    async def run(self, notice: RawValue) -> None:
        """Retries each channel on its own; a reminder is of no use once the question has timed out."""
        details: HumanNotice = unpack(notice, HumanNotice, strict=False)
        until = CALL_DEADLINE
        if details.closes and details.event != "closed":
            left = details.closes / 1000 - TemporalHost().now_s()
            until = min(until, timedelta(seconds=max(1.0, left)))
        deliveries = [
            workflow.execute_activity(
                NOTICE,
                args=[notice, channel],
                summary=channel,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,  # another worker takes over soon after one has died
                start_to_close_timeout=DELIVERY_TIMEOUT,
                schedule_to_close_timeout=until,
                retry_policy=RetryPolicy(maximum_interval=MAX_RETRY_INTERVAL),
            )
            for channel in details.channels
        ]
        for outcome in await asyncio.gather(*deliveries, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome


@dataclass(slots=True)
class Notices:
    """Hands the notices of one run to the server; `notify` is called when it has one."""

    host: Host
    graph: str
    registry: AgentRegistry
    progress: RunProgress
    notify: Callable[[], None]
    _open: list[asyncio.Task[Any]] = field(default_factory=list[asyncio.Task[Any]])

    def send(self, notice: Notice) -> None:
        """Starts the delivery on those of its channels that the worker has."""
        prompt = notice.prompt
        for name in prompt.notify:
            if notice.event == "asked" and name not in (*self.registry.channels, DEFAULT_CHANNEL):
                text = f"no notice went to {name!r}: the worker has no such channel in PERDURE_NOTIFY"
                self.progress.add_console(text, prompt.path)
        channels = [name for name in prompt.notify if name in self.registry.channels]
        if not channels:
            return
        details = self._written(notice, channels)
        summary = f"{details.event}: {details.path} of {details.run}"[:MAX_SUMMARY_CHARS]
        task = self.host.start_apart(NOTICE, pack(details), details.id, summary)
        self._open.append(task)
        task.add_done_callback(self._begun)

    def is_idle(self) -> bool:
        """Whether the server has begun all deliveries."""
        return not self._open

    async def begun(self) -> None:
        """Waits until it has."""
        while self._open:
            await asyncio.gather(*self._open, return_exceptions=True)

    def _begun(self, task: asyncio.Task[Any]) -> None:
        self._open.remove(task)
        if not task.cancelled():
            task.exception()  # it was sent before the run was reset: once is enough
        self.notify()

    def _written(self, notice: Notice, channels: Sequence[str]) -> HumanNotice:
        prompt = notice.prompt
        # Not the time: a replay may hand over a local activity in a later workflow task, at another time.
        mark = notice.call if self.registry.numbers_notices else prompt.asked
        parts = (self.host.run_id(), prompt.path, str(mark), notice.event, str(notice.number))
        after = prompt.timeout.get("after", inf)
        return HumanNotice(
            id=f"notice-{hashlib.sha256(chr(0).join(parts).encode(errors='replace')).hexdigest()[:32]}",
            event=notice.event,
            run=self.host.workflow_id(),
            graph=self.graph,
            path=shortened(prompt.path, MAX_NOTICE_PATH_CHARS),
            message=prompt.message,
            who=list(prompt.who[:MAX_NOTICE_NAME_COUNT]),
            channels=channels,
            at=notice.at,
            asked=prompt.asked,
            closes=0 if after == inf else int(prompt.asked + after),
            number=notice.number,
            how=notice.how,
            by=[
                {"who": answer["who"], "at": answer["at"]}
                for answer in prompt.answers[:MAX_NOTICE_NAME_COUNT]
            ],
        )
