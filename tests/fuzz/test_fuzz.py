"""A short form of the command, with a fixed seed; and that it can find something."""

from __future__ import annotations

from collections import UserList
from itertools import product
from random import Random
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload

from perdure.errors import PerdureError
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


def test_objects_that_are_no_payloads_are_read_or_refused() -> None:
    random, seeds, refused = Random(7), readers.objects(), 0
    short = [bytes(each) for length in range(2) for each in product(range(256), repeat=length)]
    for data in (*short, *(_damaged(random, seeds) for _ in range(COUNT))):
        try:
            readers.object_bytes(data)
        except PerdureError:
            refused += 1
    assert refused > COUNT // 5


def _damaged(random: Random, seeds: list[Payload]) -> bytes:
    whole = bytearray(random.choice(seeds).SerializeToString())
    for _ in range(random.randrange(3)):
        whole[random.randrange(min(len(whole), 60))] = random.randrange(256)
    return bytes(whole[: random.randrange(len(whole) + 1)])


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
