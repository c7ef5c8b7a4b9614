"""The store of large values."""

from __future__ import annotations

from perdure.cli.checkup import Finding
from perdure.cli.machine_checks import folder
from perdure.settings import Settings


async def store(settings: Settings) -> list[Finding]:
    """Whether values can be kept there."""
    return folder("store", settings.home.absolute() / "store")
