"""The state of a run for those who watch it: records, without the server that they describe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from perdure.protocol.payloads import RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingCall:
    """A call of an agent that has no result yet. `started` says whether a worker has it; `since` is when
    it began, or else when it was sent, in milliseconds since the epoch. `paused` says who paused it at the
    server, and why: "" if the server does not say, None for a call that is not paused. `activity_id` is what
    the server calls it, if that is not its path. `account` says how the attempts before this one have ended,
    "" if there were none or it is unknown.
    """

    path: str
    agent: str
    queue: str
    started: bool
    attempt: int = 1
    last_failure: str | None = None
    since: int = 0
    paused: str | None = None
    activity_id: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """How a run is: `state` is Temporal's word in small letters, such as "running".

    `unserved` are the task queues that it waits for and no worker serves. `attempt` counts how often a
    worker tried to take the step that is due: 0 when none is, above 1 when workers fail at it. `cancelling`
    is a run that was asked to stop and has not ended. `paused` is as in PendingCall.
    """

    id: str
    state: str
    name: str = ""
    started: datetime | None = None
    closed: datetime | None = None
    status: RunStatus | None = None
    pending: tuple[PendingCall, ...] = ()
    unserved: tuple[str, ...] = ()
    attempt: int = 0
    cancelling: bool = False
    paused: str | None = None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One line of a list of runs; `event_count` is the length of the history of its last execution."""

    id: str
    state: str
    name: str
    started: datetime
    closed: datetime | None
    event_count: int = 0

    def plain(self) -> dict[str, str | None]:
        """It for programs: times are ISO 8601, and `closed` is None for an open run."""
        closed = None if self.closed is None else self.closed.isoformat()
        started = self.started.isoformat()
        return {"id": self.id, "state": self.state, "graph": self.name, "started": started, "closed": closed}
