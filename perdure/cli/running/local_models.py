"""The small models on this machine, for agents that run in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from perdure import local
from perdure.cli import output
from perdure.settings import Settings

OFF: Final = "off"
"""The local model's name in the settings where none may answer."""


def local_models(settings: Settings) -> Callable[[], Awaitable[str]] | None:
    """Starts the local models when an agent needs them; None where they are missing or switched off."""
    if settings.local_model == OFF or not local.installed():
        return None
    last_notice: list[str] = []

    def tell(progress: local.Progress) -> None:
        text = progress_text(progress)
        if text not in last_notice[-1:]:
            last_notice[:] = [text]
            output.note(text)

    one_at_a_time = asyncio.Lock()

    async def ensure() -> str:
        async with one_at_a_time:
            return await local.ensure(settings, tell)

    return ensure


def progress_text(progress: local.Progress) -> str:
    """How far a download is, in steps of ten percent: each is one line."""
    tenths = 10 * progress.done // progress.total if progress.total else 0
    return f"local model {progress.model}: {progress.phase}, {10 * tenths} % of {progress.total >> 20} MiB"
