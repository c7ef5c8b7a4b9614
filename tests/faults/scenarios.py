"""The faults by name. Each is a module with `show`, which fills in figures."""

from __future__ import annotations

import asyncio
import tempfile
from importlib import import_module
from pathlib import Path

from tests.faults.ground import Figures
from tests.support.cli import lacks_program

SCENARIOS = (
    "network",
    "disk",
    "spoiled",
    "snapshot",
    "starts",
    "clients",
    "storm",
    "codes",
    "absent",
    "expired",
)


def lacking(name: str) -> str:
    """Why this scenario cannot be played here, if so."""
    return lacks_program() or getattr(import_module(f"tests.faults.{name}"), "lacking", str)()


def play(name: str, *, short: bool) -> Figures:
    """Plays it in a folder of its own."""
    figures = Figures()
    show = import_module(f"tests.faults.{name}").show
    with tempfile.TemporaryDirectory(prefix=f"perdure-{name}-", ignore_cleanup_errors=True) as folder:
        asyncio.run(show(figures, Path(folder), short=short))
    return figures
