"""One attempt of an activity: what became of those before it, and what may follow.

The account of the attempts (perdure.engine.attempts) travels in the details of heartbeats, which the server
hands to the next attempt and shows to those who ask for the run. A call that succeeds at once sends none.

The details go out with the failure that they precede: the SDK sends the last heartbeat before the end.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from difflib import get_close_matches
from socket import gethostname
from typing import Any, Final, cast

from temporalio import activity
from temporalio.client import AsyncActivityCancelledError
from temporalio.converter import ActivitySerializationContext
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError

from perdure.activities.failures import application_error
from perdure.activities.heartbeat import Heartbeat
from perdure.agents.loop_watchdog import ACTIVITY, blocked_at
from perdure.engine.attempts import AttemptAccount, account_at, attempt_s, deadline_failure, verdict
from perdure.engine.messages import NodeOptions
from perdure.engine.outcomes import Failure
from perdure.protocol.names import AGENT_ABSENT, SLOT_SHARED
from perdure.protocol.records import to_lean
from perdure.settings import Settings
from perdure.temporal.queues import workers

LOG = logging.getLogger("perdure")

ACCOUNT_RPC_TIMEOUT: Final = timedelta(seconds=3)

ABSENT_PAUSE_S: Final = 2.0
"""Seconds until a call that met a worker without its agent is offered again."""


@dataclass(slots=True)
class Attempt:
    """The attempt that the running activity is; `deadline_ms` is that of its node, for all attempts.

    `is_timed` says that the node has a `timeout`, to which the server adds only a little.
    """

    settings: Settings
    info: activity.Info = field(default_factory=activity.info)
    heartbeat: Heartbeat = field(init=False)
    account: AttemptAccount = field(init=False)
    deadline_ms: float | None = None
    is_timed: bool = False
    _waits: bool = False

    def __post_init__(self) -> None:
        info = self.info
        ACTIVITY.set(self.id)
        host = self.settings.host or gethostname()
        self.heartbeat = Heartbeat(info.attempt, None if info.is_local else {"host": host})
        if info.is_local:  # the worker repeats it: nothing but transient failures comes before
            self.account = AttemptAccount(transient=info.attempt - 1)
            return
        recorded = recorded_account(info.heartbeat_details) if info.attempt > 1 else None
        blocked = blocked_at(self.id) if info.attempt > 1 else ""
        self.account = account_at(info.attempt, recorded, blocked, host)

    @property
    def id(self) -> str:
        """Of the call, the same for all its attempts."""
        return f"{self.info.workflow_run_id}/{self.info.activity_id}"

    @property
    def is_suspect(self) -> bool:
        """Whether the call has lost its worker, and would fail if it did so once more."""
        return 0 < self.account.lost >= self.settings.lost_attempts - 1

    @property
    def sharer(self) -> str:
        """Who has a share of the slots: the run, unless it was started with a key of another."""
        return self.info.priority.fairness_key or self.info.workflow_id or ""

    @property
    def has_slot(self) -> bool:
        """Whether it takes one of the worker: local activities do not."""
        return not self.info.is_local

    @property
    def may_be_handed_back(self) -> bool:
        """Whether the server would offer it again."""
        policy = self.info.retry_policy
        return policy is None or policy.maximum_attempts != 1

    @property
    def is_stopping(self) -> bool:
        """Whether the worker is about to end."""
        return activity.is_worker_shutdown()

    async def begin(self) -> None:
        """Leaves the account for whatever comes after this attempt, which may not be able to."""
        if self.info.is_local or (self.info.attempt == 1 and not self._waits):
            return
        self._waits = False
        if self.account.lost or self.account.blocked:
            info, text = self.info, "agent %s in node %s of run %s: attempt %d follows others, of which %s"
            names = (info.activity_type, info.activity_id, info.workflow_id, info.attempt)
            LOG.warning(text, *names, self.account)
        await self._leave(self.account)

    def rest_left_s(self, seconds: float) -> float:
        """What is left of a rest of `seconds`, which an attempt before this one may have begun."""
        now = time.time()
        if not self.account.rests_until:
            self.account = replace(self.account, rests_until=now + seconds)
        return min(max(self.account.rests_until - now, 0.0), seconds)

    async def wait(self) -> None:
        """Leaves an account for which this attempt does not count, until it begins."""
        self._waits = True
        await self._leave(self.account.after_stop())

    def check(self, agent: str) -> None:
        """Raises ApplicationError where the attempts before this one were enough."""
        refusal = self.account.refusal(self.settings, agent)
        if refusal is not None:
            raise application_error(refusal)

    def limit_s(self) -> float | None:
        """Seconds that this attempt may take; None where other limits suffice."""
        return attempt_s(self.deadline_ms, self._passed_s(), self.account)

    def late(self) -> ApplicationError:
        """The node's deadline has come during this attempt."""
        return application_error(deadline_failure(self.deadline_ms or 0, self.account.last))

    def failed(self, failure: Failure) -> ApplicationError:
        """What to fail the activity with: to be repeated after a pause, unless that is enough."""
        options = NodeOptions(backoff=self._backoff_s(), deadline=self.deadline_ms)
        passed = self._passed_s()
        after = verdict(failure, self.account, self.settings, options, passed, random.random())
        self.account = after.account
        if not after.failure.transient:
            return application_error(after.failure)
        self._record()
        return application_error(after.failure, timedelta(seconds=after.pause_s))

    def stopped(self) -> None:
        """The worker is shut down, and takes this attempt along."""
        self.account = self.account.after_stop()
        self._record()

    def handed_back(self, pause_s: float) -> ApplicationError:
        """The slot is needed for other calls."""
        self.account = self.account.after_stop()
        self._record()
        finding = "handed back: the run has its share of the slots of this worker, and other runs their turn"
        if self.account.rests_until:
            finding = "handed back: the agent only waits for a time, and other calls need its slot"
        pause = timedelta(seconds=pause_s)
        benign = ApplicationErrorCategory.BENIGN  # not to be logged as a failure
        return ApplicationError(finding, type=SLOT_SHARED, next_retry_delay=pause, category=benign)

    def absent(self, finding: str, hint: str) -> ApplicationError:
        """The worker does not have the agent: another one may, for a while."""
        began = self.info.started_time.timestamp()
        self.account = self.account.after_absence(began)
        policy = self.info.retry_policy
        is_over = began - self.account.absent_since >= self.settings.agent_wait
        if is_over or self.info.is_local or (policy is not None and policy.maximum_attempts == 1):
            return ApplicationError(f"{finding}; {hint}", type="UnknownAgent", non_retryable=True)
        self._record()
        pause = ABSENT_PAUSE_S * (0.5 + random.random())
        return ApplicationError(finding, type=AGENT_ABSENT, next_retry_delay=timedelta(seconds=pause))

    def _passed_s(self) -> float:
        """Seconds from the call to this attempt, both by the server's clock."""
        return (self.info.started_time - self.info.scheduled_time).total_seconds()

    def _backoff_s(self) -> float:
        policy = self.info.retry_policy
        return 1.0 if policy is None else policy.initial_interval.total_seconds()

    def _record(self) -> None:
        """Sends the account with the failure that follows."""
        if not self.info.is_local:
            self.heartbeat.account = to_lean(self.account)
            self.heartbeat.send()

    async def _leave(self, account: AttemptAccount) -> None:
        """Waits until the server has the account: what comes next may end this process."""
        self.heartbeat.account = to_lean(account)
        handle = activity.client().get_async_activity_handle(task_token=self.info.task_token)
        handle = handle.with_context(_context(self.info))
        with suppress(RPCError, AsyncActivityCancelledError):  # the next heartbeat hears of it
            await handle.heartbeat(self.heartbeat.tail(), rpc_timeout=ACCOUNT_RPC_TIMEOUT)


def _context(info: activity.Info) -> ActivitySerializationContext:
    """Where the payloads of an activity belong: a codec may write them for there alone."""
    return ActivitySerializationContext(
        namespace=info.namespace,
        workflow_id=info.workflow_id,
        workflow_type=info.workflow_type,
        activity_type=info.activity_type,
        activity_id=info.activity_id,
        activity_task_queue=info.task_queue,
        is_local=info.is_local,
    )


def recorded_account(details: Sequence[Any]) -> object:
    """The account in the details of a heartbeat, as they were sent; None if there is none."""
    tail = details[0] if details else None
    return cast("Mapping[Any, Any]", tail).get("account") if isinstance(tail, Mapping) else None


def absence(name: str, queue: str, agents: Collection[str]) -> tuple[str, str]:
    """That this worker, which has `agents`, does not have one, and a hint."""
    matches = get_close_matches(name, agents, n=1)
    hint = f"did you mean {matches[0]!r}?" if matches else "start the worker with --agents MODULE"
    return f"the worker of queue {queue!r} has no agent {name!r}", hint


async def check_needs(needs: Sequence[str], agents: Collection[str]) -> None:
    """Raises ApplicationError where this worker lacks agents that a run needs.

    The run asks another worker then, if there is one.
    """
    lacking = [name for name in needs if name not in agents]
    if not lacking:
        return
    info, client = activity.info(), activity.client()
    others = await workers(client, info.task_queue) - {client.identity}
    raise ApplicationError(
        f"the worker of queue {info.task_queue!r} has no agents {', '.join(lacking)}",
        type=AGENT_ABSENT if others else "UnknownAgent",
        non_retryable=not others,
        next_retry_delay=timedelta(seconds=ABSENT_PAUSE_S * (0.5 + random.random())),
    )
