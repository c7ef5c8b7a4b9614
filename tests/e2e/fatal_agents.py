"""Agents that take their worker along."""

from __future__ import annotations

import os
import signal
import time

from perdure import agent


@agent("poison")
def poison() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@agent("blocking")
async def blocking() -> str:
    time.sleep(14)  # heartbeats are missed after ten seconds
    return "too late"


@agent("fatal", pure=True)
def fatal() -> None:
    os._exit(7)


@agent("fine")
def fine() -> str:
    return "fine"
