"""The stories of docs/reruns.md and docs/steering.md can be followed: their commands print what they say."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from perdure import server
from perdure.settings import Settings
from tests.repo import documents
from tests.support import ROOT


@pytest.mark.parametrize(("page", "outputs"), [("reruns.md", 2), ("steering.md", 3)])
def test_the_story(page: str, outputs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = documents.blocks(page)
    for block in blocks:
        if block.kind.startswith("file "):
            (tmp_path / block.kind.removeprefix("file ")).write_text(block.text)
    home = tmp_path / "home"
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(home / "no-profiles.toml"))
    monkeypatch.setenv("PERDURE_HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    program = tmp_path / "bin" / "perdure"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m perdure "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    printed = 0
    try:
        for block, after in zip(blocks, [*blocks[1:], None], strict=True):
            if not block.kind.startswith("story"):
                continue
            done = subprocess.run(
                ["bash", "-c", block.text],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=300,
            )
            code = int(block.kind.removeprefix("story") or 0)
            assert done.returncode == code, f"{block}: {done.stderr}"
            if after is not None and after.kind == "output":
                assert done.stdout == after.text, f"{block}: {done.stderr}"
                printed += 1
    finally:
        for pid in tmp_path.glob("*.pid"):
            with suppress(ProcessLookupError):
                os.kill(int(pid.read_text()), signal.SIGKILL)
        server.stop(Settings(home=home))
    assert printed == outputs
