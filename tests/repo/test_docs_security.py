"""What docs/security.md shows of policies is what the commands print; its tables are those of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest

from perdure.policy.grant import Grant
from perdure.policy.parse import POLICY_KEYS
from tests.repo import documents
from tests.support import ROOT

PAGE = "security.md"
BLOCKS = documents.blocks(PAGE)


def test_the_commands_print_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in BLOCKS:
        if block.kind.startswith("file "):
            (tmp_path / block.kind.removeprefix("file ")).write_text(block.text)
    shell = f'perdure() {{ {sys.executable} -m perdure "$@"; }}\n'
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PERDURE_HOME", str(tmp_path / "home"))
    shown = 0
    for block, after in pairwise(BLOCKS):
        if not block.kind.startswith("story"):
            continue
        command = ["bash", "-c", shell + block.text]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == int(block.kind.removeprefix("story") or 0), f"{block}: {done.stderr}"
        printed = done.stdout if after.kind == "output" else done.stderr
        assert re.sub(r"[0-9a-f]{64}", "DIGEST", printed) == after.text, str(block)
        shown += 1
    assert shown == 4


def test_the_tables_name_all_keys() -> None:
    text = documents.text_of(PAGE)
    section = text[text.index("### The policy file") : text.index("### Asking for less")]
    cells = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", section, re.M)
    keys = [key for cell in cells for key in re.findall(r"\w+", cell)]
    assert keys == [
        *POLICY_KEYS,
        *(field.name for field in fields(Grant)),
        "implicit",
        "budget",
        "violation",
        "from",
    ]
