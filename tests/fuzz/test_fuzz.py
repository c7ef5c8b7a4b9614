"""A short form of the command, with a fixed seed; and that it can find something."""

from __future__ import annotations

from collections import UserList
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload

from tests.fuzz import readers
from tests.fuzz.__main__ import main
from tests.fuzz.readers import KINDS, Kind
from tests.fuzz.tally import tally

COUNT = 1_000


@pytest.mark.parametrize("name", KINDS)
def test_hostile_payloads_are_read_or_refused(name: str) -> None:
    result = tally(name, COUNT, seed=7)
    assert (result.untyped, result.impure, result.shown) == (0, 0, {})
    assert min(result.read, result.typed) > COUNT // 50


@pytest.mark.parametrize("name", KINDS)
def test_what_is_mutated_is_real(name: str) -> None:
    kind = KINDS[name]
    assert all(kind.read(Payload(metadata=seed.metadata, data=seed.data)) for seed in kind.seeds())


def untyped(_: Payload) -> list[Any]:
    raise KeyError("x")


def impure(_: Payload) -> list[Any]:
    return [{"x": UserList([1])}]


@pytest.mark.parametrize(("read", "finding"), [(untyped, "1 untyped"), (impure, "1 impure")])
def test_what_is_not_clean_is_reported(
    read: readers.Reader,
    finding: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(readers.KINDS, "call", Kind(KINDS["call"].seeds, read))
    assert main(["--kind", "call", "--count", "1"]) == 1
    assert finding in capsys.readouterr().out
