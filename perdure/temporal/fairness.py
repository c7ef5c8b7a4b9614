"""How the server shares workers among runs: where tasks queue up, it takes one of each key in turn.

A run has its key from its start on. The server passes it on to the activities and children of the run,
so no command of a workflow holds it, and histories stay as they are. A server that does not know keys, or
does not use them, takes tasks in the order in which they came.
"""

from __future__ import annotations

import hashlib
from typing import Final

from temporalio.common import Priority

MAX_FAIRNESS_KEY_BYTES: Final = 64
"""Bytes of a key, by the server."""


def turn_of(run: str) -> Priority:
    """What the run with this id is started with."""
    key = run.encode(errors="replace")
    if len(key) > MAX_FAIRNESS_KEY_BYTES:
        return Priority(fairness_key=hashlib.sha256(key).hexdigest())
    return Priority(fairness_key=run)
