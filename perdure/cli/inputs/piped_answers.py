"""Answers from a pipe or a file on stdin: one line for each question, in the order of the questions.

A line is read when a question is open and never earlier, so that a command in a script leaves the rest of
its stdin alone.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from dataclasses import dataclass, field
from typing import TextIO


@dataclass(slots=True)
class PipedAnswers:
    """The lines of `stream`; `is_over` is true at its end."""

    stream: TextIO
    is_over: bool = False
    _lines: list[str] = field(default_factory=list[str])
    _reader: threading.Thread | None = None

    def take(self) -> str | None:
        """The next line, None where it has not come yet, or will not: ask again later."""
        if self._lines:
            return self._lines.pop()
        if not self.is_over and (self._reader is None or not self._reader.is_alive()):
            # A thread of its own, which the end of the process does not wait for.
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
        return None

    def wait(self) -> str | None:
        """The next line, waited for; None at the end."""
        line = self._lines.pop() if self._lines else self.stream.readline()
        self.is_over = not line
        return line.rstrip("\r\n") if line else None

    def _read(self) -> None:
        line = self.stream.readline()
        if line:
            self._lines.append(line.rstrip("\r\n"))
        else:
            self.is_over = True


def piped_answers() -> PipedAnswers | None:
    """The answers on stdin, None where it is neither a pipe nor a file."""
    if sys.stdin is None or sys.stdin.closed:
        return None
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return None
    return PipedAnswers(sys.stdin) if stat.S_ISFIFO(mode) or stat.S_ISREG(mode) else None
