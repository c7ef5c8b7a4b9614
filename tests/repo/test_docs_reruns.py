"""The story of docs/reruns.md can be followed: its commands print what the page says."""

import subprocess
import sys
from pathlib import Path

import pytest

from perdure import server
from perdure.settings import Settings
from tests.repo import documents
from tests.support import ROOT

BLOCKS = documents.blocks("reruns.md")


def test_the_story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in BLOCKS:
        if block.kind.startswith("file "):
            (tmp_path / block.kind.removeprefix("file ")).write_text(block.text)
    home = tmp_path / "home"
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(home / "no-profiles.toml"))
    monkeypatch.setenv("PERDURE_HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    shell = f'perdure() {{ {sys.executable} -m perdure "$@"; }}\n'
    printed = 0
    try:
        for block, after in zip(BLOCKS, [*BLOCKS[1:], None], strict=True):
            if not block.kind.startswith("story"):
                continue
            done = subprocess.run(
                ["bash", "-c", shell + block.text],
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
        server.stop(Settings(home=home))
    assert printed == 2
