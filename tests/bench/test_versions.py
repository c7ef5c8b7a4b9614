"""The comparison with an earlier version: what can be seen without installing one."""

from __future__ import annotations

import sys

import pytest

from bench import versions
from bench.processes import ROOT

pytestmark = pytest.mark.anyio


async def test_versions_take_turns(capsys: pytest.CaptureFixture[str]) -> None:
    both = [
        versions.Version(name=name, tree=ROOT, python=sys.executable) for name in (versions.NEW, versions.OLD)
    ]
    chosen = {name: case for name, case in versions.cases(quick=True).items() if case.work == "memory"}
    done = await versions.compare(both, chosen, pairs=2)
    counts = [{series.name: len(series.taken["seconds"]) for series in compared.series} for compared in done]
    assert counts == [{versions.NEW: 2, versions.OLD: 2}] * 3
    shown = capsys.readouterr().out
    assert shown.count("processor time, this version / earlier version") == 3
    assert shown.count("at most 1.03") == 3


@pytest.mark.parametrize(
    ("words", "finding"),
    [
        (["--against", "d8841e9", "chian"], "bench: no comparison 'chian'; there are pure-chain, "),
        (["--against", "no-such-commit"], "bench: git rev-parse --verify failed: no such commit"),
    ],
)
def test_refused(words: list[str], finding: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert versions.main(words) == 2
    assert capsys.readouterr().err.startswith(finding)
