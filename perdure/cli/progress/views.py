"""The progress of a run on stderr: a live table on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Protocol

from perdure.cli import output
from perdure.cli.progress.progress_table import ProgressTable


class View(Protocol):
    """Where the progress of a run is shown."""

    def show(self, board: ProgressTable) -> None:
        """The board has changed."""
        ...

    def lines(self, texts: Sequence[str]) -> None:
        """The run, or this command, has something to say."""
        ...

    def pause(self) -> None:
        """The terminal is needed for something else."""
        ...

    def close(self) -> None:
        """Nothing will change any more."""
        ...


class PlainView:
    """``node state`` as states change."""

    def show(self, board: ProgressTable) -> None:
        """Writes what has changed."""
        for line in board.changes():
            output.note(line)

    def lines(self, texts: Sequence[str]) -> None:
        """Writes them."""
        for text in texts:
            output.note(text)

    def pause(self) -> None:
        """Nothing stands in the way."""

    def close(self) -> None:
        """Nothing is left to do."""


def view() -> View:
    """The view for this terminal, or for the lack of one."""
    if sys.stderr is not None and sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 -- rich is loaded where something is drawn

        from perdure.cli.progress.live import LiveView  # noqa: PLC0415 -- the same

        return LiveView(Console(stderr=True, highlight=False))
    return PlainView()
