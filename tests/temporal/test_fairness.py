"""The key by which the server shares workers among runs."""

from __future__ import annotations

import pytest

from perdure.temporal.fairness import MAX_FAIRNESS_KEY_BYTES, turn_of


@pytest.mark.parametrize("id", ["nightly", "x" * MAX_FAIRNESS_KEY_BYTES])
def test_a_run_has_its_id_as_its_key(id: str) -> None:
    assert turn_of(id).fairness_key == id


@pytest.mark.parametrize("id", ["x" * 65, "é" * 33, "\ud800" * 65])
def test_a_long_id_has_a_key_of_its_own(id: str) -> None:
    key = turn_of(id).fairness_key
    assert key is not None
    assert len(key.encode()) <= MAX_FAIRNESS_KEY_BYTES
    assert key not in (id, turn_of(id + "x").fairness_key)
