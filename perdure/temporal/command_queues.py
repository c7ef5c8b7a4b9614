"""The names of task queues that one command makes for its own run."""

from __future__ import annotations

import re
import secrets
from typing import Final

_OWN_QUEUE: Final = re.compile(r".+-[0-9a-f]{8}\.[0-9a-f]{6}")


def queue_of_one_command(shared: str) -> str:
    """A new queue for one command; `shared` is that of all commands with the same agents and settings."""
    return f"{shared}.{secrets.token_hex(3)}"


def is_of_one_command(queue: str) -> bool:
    """Whether one command made this queue for its run: other commands do not serve it by themselves."""
    return _OWN_QUEUE.fullmatch(queue) is not None
