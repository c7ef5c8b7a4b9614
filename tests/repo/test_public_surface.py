"""What a version promises changes on purpose only (tests/repo/pins)."""

from __future__ import annotations

from importlib import import_module

import pytest

from perdure.errors import PerdureError
from tests.repo import pins
from tests.support.constants import modules

ELSEWHERE = {
    "AgentTimeout",
    "BadCall",
    "CannotKeep",
    "CannotReview",
    "HistoryFull",
    "InvalidTransition",
    "NoStore",
    "ValueTooLarge",
}
"""Exceptions that users may meet and that perdure.errors does not have yet."""


@pytest.mark.parametrize("name", pins.PINS)
def test_pin(name: str) -> None:
    pinned = (pins.FOLDER / name).read_text(encoding="utf-8").splitlines()
    assert pins.text_of(name).splitlines() == pinned, pins.REWRITE


def test_every_exception_is_public() -> None:
    for name, _ in modules():
        import_module(name)
    elsewhere = {kind.__qualname__ for kind in kinds(PerdureError) if kind.__module__ != "perdure.errors"}
    assert elsewhere <= ELSEWHERE


def kinds(root: type[PerdureError]) -> set[type[PerdureError]]:
    """The exceptions of the package below `root`."""
    below = {kind for kind in root.__subclasses__() if kind.__module__.startswith("perdure.")}
    return below.union(*(kinds(kind) for kind in below))
