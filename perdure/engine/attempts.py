"""The account of a call's attempts: how many ended without a result, by kind, and when that is enough.

Why
    Temporal counts the attempts of an activity in one number, and repeats them for days. But a call that
    kills its worker must be stopped after a few, a service that is down deserves many, and a worker that was
    shut down for an update counts for nothing. Only the sum is known to the server, so the kinds are counted
    here, and the account travels from one attempt to the next.

Invariants
    An attempt that ended in an orderly way was written down by its worker. So one that is in the server's
    number and not in the account is one that could not be reported: it was lost.
    What is unknown does not count: an account that is missing where there must have been one was kept by a
    worker of an earlier version.

Rejected
    To repeat calls from the workflow: each attempt would add events to the history, and a run with a service
    that is down would grow by it.
    `maximum_attempts` of Temporal's retry policy: one bound for all kinds, and no word about which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Protocol, cast

from perdure.engine.messages import NodeOptions
from perdure.engine.outcomes import Failure
from perdure.errors import with_hint
from perdure.graph.values import number

MAX_LAST_FAILURE_CHARS: Final = 500
"""Characters of the last failure that an account keeps."""

MAX_RETRY_PAUSE_S: Final = 600.0
"""Seconds between two attempts, unless a service asks for more."""

RETRY_JITTER_FACTOR: Final = 0.2
"""By what part of it a pause may be longer: calls that failed together are not to come back together."""

DEADLINE_MARGIN_FACTOR: Final = 0.05
"""The part of a deadline by which a repeated attempt ends before it ..."""

MAX_DEADLINE_MARGIN_S: Final = 0.5
"""... and the seconds that this is at most."""


class AttemptLimits(Protocol):
    """How many attempts of a call may end without a result, by kind: perdure.settings.Settings has them."""

    @property
    def transient_attempts(self) -> int:
        """Failures for now."""
        ...

    @property
    def lost_attempts(self) -> int:
        """Workers that it may lose."""
        ...

    @property
    def blocked_attempts(self) -> int:
        """Times that it may block the event loop of its worker until no heartbeat goes out."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptAccount:
    """The attempts of a call that have ended without a result.

    `transient` failed for now, `lost` ended with their worker or without a sign of life, and `blocked`
    because the agent stopped the event loop; `stopped` were returned, because their worker was shut down or
    had to make room for other runs; `absent` met a worker without the agent, for the first time at
    `absent_since`, in seconds since the epoch.
    `unknown` were not counted. `last` is the last failure. An agent that only waits for a time does so until
    `rests_until`, in seconds since the epoch. `host` is where the attempt is that carries the account, and
    `lost_on` are the hosts of the lost ones that are known, separated by blanks.
    """

    transient: int = 0
    lost: int = 0
    blocked: int = 0
    stopped: int = 0
    absent: int = 0
    absent_since: float = 0.0
    unknown: int = 0
    last: str = ""
    rests_until: float = 0.0
    host: str = ""
    lost_on: str = ""

    @property
    def ended(self) -> int:
        """How many there were."""
        return self.transient + self.lost + self.blocked + self.stopped + self.absent + self.unknown

    def __str__(self) -> str:
        """For people: how many of which kind, such as ``2 failed for now, 1 lost``; "" for none."""
        kinds = {
            "failed for now": self.transient,
            "lost": self.lost,
            "blocked the event loop": self.blocked,
            "returned by the worker": self.stopped,
            "met a worker without the agent": self.absent,
        }
        return ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)

    def after_transient(self, message: str) -> AttemptAccount:
        """With one more that failed for now."""
        return replace(self, transient=self.transient + 1, last=message[:MAX_LAST_FAILURE_CHARS])

    def after_stop(self) -> AttemptAccount:
        """With one more that its worker has returned."""
        return replace(self, stopped=self.stopped + 1)

    def after_absence(self, now: float) -> AttemptAccount:
        """With one more that met a worker without its agent, at `now`, in seconds since the epoch."""
        return replace(self, absent=self.absent + 1, absent_since=self.absent_since or now)

    def refusal(self, limits: AttemptLimits, agent: str) -> Failure | None:
        """Why there is to be no further attempt, after those that could not report themselves."""
        if self.blocked >= limits.blocked_attempts:
            finding = f"{agent} has blocked the event loop of its worker {_times(self.blocked)}, {self.last}"
            hint = (
                "declare an agent that blocks with `def` instead of `async def`, or let it await "
                "asyncio.to_thread; PERDURE_BLOCKED_ATTEMPTS is how often it may happen"
            )
        elif self.lost >= limits.lost_attempts:
            finding = f"{agent} has lost its worker {_times(self.lost)}: it ended, or gave no sign of life"
            if self.last:
                finding += f"; the last failure that was reported: {self.last}"
            hint = (
                "see the end of the workers' logs, and their memory; "
                "PERDURE_LOST_ATTEMPTS is how often it may happen"
            )
        else:
            return None
        return Failure(with_hint(finding, hint), final=True)

    def exhausted(self, failure: Failure, limits: AttemptLimits) -> Failure:
        """A transient failure as it is, or final when it was one too many."""
        if self.transient < limits.transient_attempts:
            return failure
        finding = f"{failure.message} (it has failed so {_times(self.transient)})"
        hint = "PERDURE_TRANSIENT_ATTEMPTS is how often it may"
        return Failure(with_hint(finding, hint), final=True)


def account_at(attempt: int, recorded: object, blocked: str = "", host: str = "") -> AttemptAccount:
    """The account at the beginning of an attempt on `host`, whose number counts from 1.

    `recorded` is what the attempt before it has left, as plain data of any origin; `blocked` says where that
    attempt is known to have stopped the event loop.
    """
    if attempt <= 1:
        return AttemptAccount(host=host)
    account = _read(recorded)
    if account is None or not account.ended:  # of the first attempt a worker leaves no more than its host
        known = "" if account is None or attempt > 2 else account.host
        account = AttemptAccount(unknown=attempt - 2, host=known)
    missing = max(attempt - 1 - account.ended, 0)
    if blocked and missing:
        account = replace(account, blocked=account.blocked + 1, last=blocked[:MAX_LAST_FAILURE_CHARS])
        missing -= 1
    elif missing and account.host:  # of others in between nothing is known
        account = replace(account, lost_on=f"{account.lost_on} {account.host}".strip())
    return replace(account, lost=account.lost + missing, host=host)


def _read(recorded: object) -> AttemptAccount | None:
    """The account that plain data holds; None where it holds none."""
    if not isinstance(recorded, Mapping):
        return None
    data = cast("Mapping[Any, Any]", recorded)
    values: dict[str, Any] = {}
    for item in fields(AttemptAccount):
        value = data.get(item.name, item.default)
        if type(value) is int and item.type == "float":
            value = float(number(value))
        if type(value) is not type(item.default) or (not isinstance(value, str) and not 0 <= value < 1e12):
            return None
        values[item.name] = value
    return AttemptAccount(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a call whose attempt has failed: `failure` is transient where another one follows."""

    failure: Failure
    account: AttemptAccount
    pause_s: float = 0.0


def verdict(
    failure: Failure,
    account: AttemptAccount,
    limits: AttemptLimits,
    options: NodeOptions,
    passed_s: float,
    chance: float,
) -> Verdict:
    """What follows from the failure of an attempt, `passed_s` seconds after the call.

    Of the options of the node, `backoff` and `deadline` count; `chance`, from 0 to 1, decides about jitter.
    """
    if not failure.transient:
        return Verdict(failure=failure, account=account)
    account = account.after_transient(failure.message)
    failure = account.exhausted(failure, limits)
    if not failure.transient:
        return Verdict(failure=failure, account=account)
    pause = pause_s(account.transient, options.backoff or 1.0, failure.retry_after_s, chance)
    if options.deadline is not None and passed_s + pause > options.deadline / 1000:
        failure = deadline_failure(options.deadline, account.last)
    return Verdict(failure=failure, account=account, pause_s=pause)


def pause_s(failures: int, backoff: float, retry_after: float | None, chance: float) -> float:
    """Seconds until the next attempt, after this many transient failures.

    `backoff` is the first pause and doubles; `retry_after` is what the service asked for, and is kept, but
    grows where that is not enough: of a hundred calls that all come back after a second, most come back for
    nothing. `chance`, from 0 to 1, decides about the jitter.
    """
    steps = failures - 1 if retry_after is None else failures - 3
    growing = min(backoff * 2.0 ** min(max(steps, 0), 30), MAX_RETRY_PAUSE_S)
    pause = growing if retry_after is None else max(retry_after, growing if steps >= 0 else 0.0)
    return pause * (1 + RETRY_JITTER_FACTOR * chance)


def attempt_s(deadline_ms: float | None, passed_s: float, account: AttemptAccount) -> float | None:
    """Seconds that an attempt may take so that the node learns why it is late; None where that is known.

    It ends a little before the node's deadline, of which `passed_s` seconds are over: else the deadline would
    end the node first. A first attempt may use all of the deadline.
    """
    if deadline_ms is None or not account.last:
        return None
    whole = deadline_ms / 1000
    return max(whole - passed_s - min(whole * DEADLINE_MARGIN_FACTOR, MAX_DEADLINE_MARGIN_S), 0.0)


def deadline_failure(milliseconds: float, last: str) -> Failure:
    """What becomes of a node when the time for all its attempts is over."""
    return Failure(deadline_message(milliseconds, last), "timed-out", final=True)


def deadline_message(milliseconds: float, last: str) -> str:
    """In words; `last` is the last failure, "" if there was none."""
    because = f"; the last failure: {last}" if last else ""
    return f"Timeout: the deadline of {milliseconds:g} ms has passed{because}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
