"""The progress of a run as a table on the terminal that is redrawn."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from perdure.cli import output
from perdure.cli.progress.progress_table import ProgressTable, Row, duration, fitting
from perdure.engine.state import STATE_MARKS

STYLES = {
    "executing": "cyan",
    "queued": "yellow",
    "completed": "green",
    "fell-back": "yellow",
    "failed": "red",
    "timed-out": "red",
    "skipped": "dim",
    "waiting": "dim",
}
NAME_COLUMN_CHARS = 32
"""Characters of a node's name, and of its agent's."""


class LiveView:
    """One line for each node, redrawn four times a second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._board: ProgressTable | None = None
        self._live: Live | None = None

    def show(self, board: ProgressTable) -> None:
        """Draws the board."""
        self._board = board
        if self._live is None:
            self._live = Live(
                console=self._console, get_renderable=self._draw, redirect_stdout=False, redirect_stderr=False
            )
            self._live.start()
        self._live.refresh()

    def lines(self, texts: Sequence[str]) -> None:
        """Writes them above the board."""
        for text in texts:
            self._console.print(Text(output.plain(text)))

    def pause(self) -> None:
        """Leaves the board where it is; the next one is drawn below."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def close(self) -> None:
        """Leaves the last board on the screen."""
        self.pause()

    def _draw(self) -> Group:
        if self._board is None:
            return Group()
        rows, hidden = fitting(self._board.rows(time.time()), max(self._console.height - 4, 3))
        return picture(rows, hidden, self._board.iteration)


def picture(rows: Sequence[Row], hidden: int = 0, iteration: int = 0) -> Group:
    """The table of the rows."""
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(width=1)
    for widest in (NAME_COLUMN_CHARS, NAME_COLUMN_CHARS, None):
        grid.add_column(no_wrap=True, overflow="ellipsis", max_width=widest)
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        time_ = "" if row.seconds is None else duration(row.seconds)
        attempt = f"attempt {row.attempt}" if row.attempt > 1 else ""
        about = " ".join(output.plain(row.about).split())
        style = STYLES.get(row.state, "")
        grid.add_row(
            Text(STATE_MARKS.get(row.state, "?"), style),
            Text(output.line(row.name), style if style != "dim" else ""),
            Text(output.line(row.agent), "dim"),
            Text(time_),
            Text("  ".join(filter(None, (attempt, about))), "dim"),
        )
    more = [Text(f"… and {hidden} more nodes", "dim")] if hidden else []
    head = [Text(f"iteration {iteration}", "dim")] if iteration else []
    return Group(*head, grid, *more)
