"""What a version promises changes on purpose only (tests/repo/pins)."""

from __future__ import annotations

import pytest

from tests.repo import pins


@pytest.mark.parametrize("name", pins.PINS)
def test_pin(name: str) -> None:
    pinned = (pins.FOLDER / name).read_text(encoding="utf-8").splitlines()
    assert pins.text_of(name).splitlines() == pinned, pins.REWRITE
