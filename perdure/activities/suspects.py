"""Calls that may be what kills workers are executed one at a time.

Why
    A worker that dies takes all its calls along, and one of them may be the cause. If each death counted for
    all of them, the innocent ones would fail together with the one that kills.

Invariant
    A call whose next loss would be the last one enters a lane that has one place in each worker. While it
    waits there, its account says that this attempt does not count, whatever becomes of the worker. So the
    last loss of a call happened while no other call like it was executing.

Rejected
    A process for each call: agents share clients and models that take seconds to load.
    A lane from the first loss on: after a crash of a worker with a hundred long calls, they would be repeated
    one by one, though none of them was to blame.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from perdure.activities.attempt import Attempt

SUSPECT_ALONE_S: Final = 15.0
"""Seconds after which a suspect has shown that it does not kill its worker at once: the next may begin."""


@dataclass(slots=True)
class SuspectLane:
    """The lane of one worker."""

    _place: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def entered(self, attempt: Attempt) -> AsyncGenerator[None]:
        """Lasts as long as the attempt; it begins with the account left, and for a suspect in its turn."""
        if not attempt.is_suspect:
            await attempt.begin()
            yield
            return
        if self._place.locked():
            await attempt.wait()
        await self._place.acquire()
        try:
            await attempt.begin()
        except BaseException:
            self._place.release()
            raise
        left = asyncio.get_running_loop().call_later(SUSPECT_ALONE_S, self._place.release)
        try:
            yield
        finally:
            if not left.cancelled() and left.when() > asyncio.get_running_loop().time():
                left.cancel()
                self._place.release()
