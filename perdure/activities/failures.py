"""What fails an activity, in the message that the node ends with.

A final failure goes into the history as it is: its message is the one that every other route has
(perdure.engine.outcomes), so that the same run ends the same in memory and durably.

The failure of an attempt that is repeated is the server's to keep, and it keeps 4 KB, text, stack traces
and causes together. In place of a larger one it writes "Failure exceeds size limit.", and the reason is lost
while the activity repeats. So its message comes first and is cut. The causes with their stack traces follow
only as far as they fit; their place in the agent's code is kept in any case.

Rejected: to drop causes always, because Temporal's UI is where people look for a stack trace; and to cut
final messages as well, because the node would lose what nothing forbids to keep.
"""

from __future__ import annotations

import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Final

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from perdure.agents.code_place import code_place
from perdure.engine.outcomes import Failure, failure_of
from perdure.protocol.names import TOO_LARGE_FOR_LOCAL

MAX_REPEATED_MESSAGE_BYTES: Final = 1_200
"""Bytes of the message of a failure after which the activity is repeated."""

MAX_ACTIVITY_CAUSE_BYTES: Final = 1_800
"""Bytes of its causes and their stack traces; the SDK adds that of the activity and some names."""


def application_error(error: Exception | Failure, delay: timedelta | None = None) -> ApplicationError:
    """The failure, of a type by which the retry policy and the scheduler know what to do.

    `delay` is the pause before the next attempt, where the retry policy is not to choose it.
    """
    failure = error if isinstance(error, Failure) else failure_of(error)
    if delay is None and failure.retry_after_s is not None:
        delay = timedelta(seconds=failure.retry_after_s)
    return ApplicationError(
        shortened(failure.message) if failure.transient else failure.message,
        type=failure.kind,
        next_retry_delay=delay,
        non_retryable=not failure.transient,
    )


def not_local(reason: str) -> ApplicationError:
    """What fails a local activity whose call is to get an activity of its own."""
    return ApplicationError(
        reason,
        type=TOO_LARGE_FOR_LOCAL,
        non_retryable=True,
        category=ApplicationErrorCategory.BENIGN,  # nothing that a log should hold
    )


@contextmanager
def typed_failures() -> Generator[None]:
    """Whatever is raised inside leaves as an ApplicationError: any other would be repeated for days."""
    try:
        yield
    except Exception as error:
        raise application_error(error) from fitting_cause(error)


def shortened(message: str) -> str:
    """The beginning of `message`, of at most MAX_REPEATED_MESSAGE_BYTES, and how much more there was."""
    data = message.encode(errors="replace")
    if len(data) <= MAX_REPEATED_MESSAGE_BYTES:
        return message
    kept = data[:MAX_REPEATED_MESSAGE_BYTES].decode(errors="ignore")
    return f"{kept} … ({len(message) - len(kept)} characters more)"


def fitting_cause(error: Exception) -> BaseException | None:
    """The error with all its causes if they fit and can be sent, else where the first of them was raised.

    The SDK sends nothing at all where a cause holds half a surrogate pair, and the attempt counts as lost.
    """
    with suppress(UnicodeEncodeError):
        if sum(map(_bytes, _chain(error))) <= MAX_ACTIVITY_CAUSE_BYTES:
            return error
    place = code_place(error)
    return RuntimeError(f"raised at {place}") if place else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _bytes(error: BaseException) -> int:
    text = "".join((type(error).__name__, str(error), *traceback.format_tb(error.__traceback__)))
    return len(text.encode())
