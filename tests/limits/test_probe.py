"""Every limit is in limits.toml, with tests that there are; the probe finds those that notice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.limits.probe import Limit, Verdict, changed, probed, repository, table
from tests.support import ROOT
from tests.support.constants import numbers

CALLED_LIMIT = re.compile(r"_?(?:MAX|MANY|MOST)_\w+|\w+_(?:COUNT|BYTES)")


def test_every_limit_is_listed() -> None:
    listed = {limit.name for limit in table().limits} | table().exempt.keys()
    called = {f"{module}.{name}" for module, name, _ in numbers() if CALLED_LIMIT.fullmatch(name)}
    every = {f"{module}.{name}" for module, name, _ in numbers()}
    assert (called - listed, listed - every) == (set(), set())


def test_what_is_exempt_has_a_reason() -> None:
    assert all(table().exempt.values())
    assert not table().exempt.keys() & {limit.name for limit in table().limits}


@pytest.mark.parametrize("test", sorted({test for limit in table().limits for test in limit.tests}))
def test_the_tests_are_there(test: str) -> None:
    path, _, name = test.partition("::")
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not name or f"def {name.partition('[')[0]}(" in text


def test_a_constant_is_changed() -> None:
    source = "from x import y\n\nA: Final = 5_000\nB = timedelta(days=1)\n"
    assert changed(source, "A", "* 1000") == source.replace("5_000", "(5_000) * 1000")
    assert changed(source, "B", "// 2") == source.replace("timedelta(days=1)", "(timedelta(days=1)) // 2")


@pytest.mark.long
def test_some_are_probed(tmp_path: Path) -> None:
    """`python -m tests.limits` does this for all."""
    limits = [limit for limit in table().limits if limit.name.endswith(SAMPLES)]
    assert len(limits) == len(SAMPLES)
    with repository() as copy:
        assert {limit.name: probed(limit, copy) for limit in limits} == {
            limit.name: Verdict.CAUGHT for limit in limits
        }
        blind = Limit(limits[0].name, ("tests/limits/test_probe.py::test_a_constant_is_changed",))
        assert probed(blind, copy) is Verdict.MISSED


SAMPLES = (".NODE_PLAN_CACHE_COUNT", ".MAX_SERVICE_MESSAGE_CHARS")
