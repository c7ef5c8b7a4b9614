"""The progress of a run on stderr: a live table on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from perdure.cli import output
from perdure.cli.progress.progress_table import ProgressTable
from perdure.graph.text.shown import line

LOG_LINE_INTERVAL_S: Final = 10.0
"""Seconds between two lines about one node that is executing, without a terminal."""


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


@dataclass(slots=True)
class PlainView:
    """``node state`` as states change, and now and then how far a map is and why a call was repeated.

    A log holds these lines for good, so that a node gets at most one in LOG_LINE_INTERVAL_S; the first
    failure is written at once.
    """

    clock: Callable[[], float] = time.monotonic
    _written: dict[str, tuple[float, tuple[str, str]]] = field(
        default_factory=dict[str, tuple[float, tuple[str, str]]]
    )

    def show(self, board: ProgressTable) -> None:
        """Writes what has changed."""
        for change in board.changes():
            output.note(line(change))
        now = self.clock()
        for name, detail in board.details().items():
            since, written = self._written.setdefault(name, (now, ("", "")))
            due = now - since >= LOG_LINE_INTERVAL_S or (bool(detail[1]) and not written[1])
            if due and detail != written:
                self._written[name] = (now, detail)
                output.note(line("  ".join([name, *filter(None, detail)])))

    def lines(self, texts: Sequence[str]) -> None:
        """Writes them."""
        for text in texts:
            output.note(text)

    def pause(self) -> None:
        """Nothing to do: lines do not interfere with each other."""

    def close(self) -> None:
        """Nothing is left to do."""


def view() -> View:
    """The view for this terminal, or for the lack of one."""
    if sys.stderr is not None and sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 -- rich is loaded where something is drawn

        from perdure.cli.progress.live import LiveView  # noqa: PLC0415 -- the same

        return LiveView(Console(stderr=True, highlight=False))
    return PlainView()
