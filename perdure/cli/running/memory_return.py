"""Memory that a large value has needed goes back to the system once the value is gone.

Why. A value of 60 MB takes several times that while it is computed, encoded and stored. Afterwards the C
library keeps most of it for later, and cycles wait for Python's collector, which counts objects and not
bytes. A worker that has seen a few such values would stay at its peak.

Rejected: to do so after each large value. Many may follow each other, and each collection stops all threads.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from perdure.cli.connection import collect_seldom

MEMORY_POLL_INTERVAL_S: Final = 3.0
"""Seconds between two looks at the memory of the process."""

PAUSE_FACTOR: Final = 20.0
"""How many times as long as a return has taken it is until the next one, as all threads wait for it."""

ARENA_COUNT: Final = 2
"""Pools of memory that all threads share."""

UNRETURNED_BYTES: Final = 64_000_000
"""By how much the process must have grown since memory was returned last."""


def spare_collector() -> None:
    """Has Python never look for cycles among what is there now, and seldom later: call when all is loaded.

    A run may hold a million objects. To look at all of them takes a second on a busy machine, in which no
    thread does anything else, and Temporal gives a workflow task two.
    """
    gc.collect()
    collect_seldom()


def share_arenas() -> None:
    """Has the C library keep what threads give back in ARENA_COUNT pools: call before there are many threads.

    Without, it has eight pools for each processor, and large values that one thread after the other builds
    leave room in each that no other thread can use.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(-8, ARENA_COUNT)  # M_ARENA_MAX


async def return_memory(
    resident: Callable[[], int] | None = None, release: Callable[[], None] | None = None
) -> None:
    """Returns unused memory whenever the process has grown, until it is cancelled; nothing where it cannot.

    `resident` says how many bytes the process has, `release` gives back what it can.
    """
    resident, release = resident or resident_bytes, release or _release
    least, pause = resident(), 0.0
    while least:
        await asyncio.sleep(max(MEMORY_POLL_INTERVAL_S, pause))
        pause = 0.0
        least = min(least, resident())
        if resident() > least + UNRETURNED_BYTES:
            began = time.monotonic()
            await asyncio.to_thread(release)
            least, pause = resident(), PAUSE_FACTOR * (time.monotonic() - began)


def resident_bytes() -> int:
    """Bytes of memory that this process has; 0 where the system does not say."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _release() -> None:
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # other C libraries return it on their own
            ctypes.CDLL(None).malloc_trim(0)
