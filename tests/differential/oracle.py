"""GraphAI itself, asked over a pipe: one case as JSON per line, one answer per line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

SHARED = Path(__file__).parents[3] / "shared" / "oracle"


def oracle_folder() -> Path | None:
    """Where GraphAI and its harness are installed; None where they are not, or node is not."""
    folder = Path(os.environ.get("PERDURE_ORACLE", SHARED))  # noqa: TID251 -- a test's own switch
    if shutil.which("node") is None or not (folder / "node_modules" / ".bin" / "tsx").exists():
        return None
    return folder


class Oracle:
    """One process; started again when it dies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._start()

    def _start(self) -> None:
        command = [str(self._folder / "node_modules" / ".bin" / "tsx"), "run.ts", "--serve"]
        self._process = subprocess.Popen(
            command,
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._lines: Queue[bytes | None] = Queue()
        Thread(target=self._read, args=(self._process, self._lines), daemon=True).start()

    @staticmethod
    def _read(process: subprocess.Popen[bytes], lines: Queue[bytes | None]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    def send(self, cases: Sequence[dict[str, Any]]) -> None:
        """Asks without waiting; `receive` gives the answers in order."""
        assert self._process.stdin is not None
        try:
            for case in cases:
                self._process.stdin.write(json.dumps(case).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # receive notices

    def receive(self, cases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The answers to `cases`, which were sent; a case that kills the process counts as a crash."""
        answers: list[dict[str, Any]] = []
        while len(answers) < len(cases):
            line = self._lines.get()
            if line is not None:
                answers.append(json.loads(line))
                continue
            answers.append({"status": "crash", "thrown": "the oracle died"})
            self.close()
            self._start()
            self.send(cases[len(answers) :])
        return answers

    def ask(self, cases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        self.send(cases)
        return self.receive(cases)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
