"""Lines that replace each other: redrawn in place on a terminal, elsewhere written again when they differ."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from perdure.cli import output

Show: TypeAlias = Callable[[Sequence[str], Sequence[str]], None]
"""Shows lines. The second argument is the same without what changes all the time, such as durations."""


@contextmanager
def screen() -> Generator[Show]:
    """What shows lines in place of those before them. The last ones stay."""
    if output.is_terminal():
        with _redrawn() as show:
            yield show
    else:
        yield _written()


def _written() -> Show:
    last: set[str] = set()

    def show(lines: Sequence[str], lasting: Sequence[str]) -> None:
        new = [line for line, key in zip(lines[1:], lasting[1:], strict=True) if key not in last]
        if not last or not last.issuperset(lasting):
            output.result("\n".join([lines[0], *new]))
        last.clear()
        last.update(lasting)

    return show


@contextmanager
def _redrawn() -> Generator[Show]:
    from rich.console import Console  # noqa: PLC0415 -- rich is loaded where something is drawn
    from rich.live import Live  # noqa: PLC0415 -- the same
    from rich.text import Text  # noqa: PLC0415 -- the same

    console, shown = Console(highlight=False), list[str]()
    with Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:

        def show(lines: Sequence[str], lasting: Sequence[str]) -> None:
            del lasting
            shown[:] = lines
            live.update(Text("\n".join(cut(lines, console.height - 1)), no_wrap=True), refresh=True)

        yield show
        live.vertical_overflow = "visible"
        live.update(Text("\n".join(shown)), refresh=True)


def cut(lines: Sequence[str], height: int) -> list[str]:
    """At most `height` lines: the first, and the last ones, which say what the run waits for."""
    if len(lines) <= height:
        return list(lines)
    kept = max(height - 2, 1)
    return [lines[0], f"  … {len(lines) - kept - 1} lines more", *lines[-kept:]]
