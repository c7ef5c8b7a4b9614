"""Makes each run end its worker, as one would whose own state exhausts the memory."""

from __future__ import annotations

import os

from perdure import agent
from perdure.workflows.run_shell import RunShell


@agent("fine")
def fine() -> str:
    return "fine"


async def _end_the_process(shell: RunShell, early: object) -> None:
    os._exit(7)


setattr(RunShell, "run", _end_the_process)  # noqa: B010 -- an assignment would be a type error
