"""What a call waits for whose task queue has no worker, in words."""

from __future__ import annotations

from typing import Final

HOST_MARK: Final = "@"
"""Begins the task queue of a host."""


def awaited(queue: str) -> tuple[str, str]:
    """What it waits for, and the command that serves it."""
    if queue.startswith(HOST_MARK) and len(queue) > 1:
        host = queue.removeprefix(HOST_MARK)
        return f"host {host!r}, which is not there", f"perdure worker --host {host}"
    return f"a worker on queue {queue!r}", f"perdure worker --queue {queue}"
