"""A few cases of each kind against one worker of 1 GB; `python -m tests.poison` plays all of them."""

from __future__ import annotations

import re
import sys
from collections import Counter

import pytest

from tests.poison.corpus import CORPUS, SHORT
from tests.support import ROOT
from tests.support.cli import lacks_program
from tests.support.forked import Ended, ended_module


def command(*words: str) -> Ended:
    return ended_module("tests.poison", *words)


@pytest.mark.skipif(bool(lacks_program()) or sys.platform != "linux", reason="needs a server, and prlimit")
def test_no_harm_is_done() -> None:
    done = command("--short")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(SHORT)} held, 0 missed" in done.stdout


def test_the_corpus_is_large_and_ci_plays_each_kind() -> None:
    kinds = Counter(case.kind for case in CORPUS.values())
    assert kinds.total() >= 60
    assert {CORPUS[name].kind for name in SHORT} >= kinds.keys() - {"many", "size", "starts"}


def test_each_promise_has_a_case_that_ci_plays() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = text.partition("## What a graph cannot do to a worker")[2].partition("\n## ")[0]
    rows = [line.split("|")[2] for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 5
    for cell in rows:
        named = re.findall(r"`([^`]+)`", cell)
        assert named
        assert set(named) <= set(SHORT)


def test_it_says_which_there_are() -> None:
    done = command("nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no nonsense; --list shows the cases" in done.stderr
