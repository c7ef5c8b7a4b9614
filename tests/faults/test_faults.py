"""Every fault, in its short version; `python -m tests.faults` plays the long ones."""

import pytest

from tests.faults.scenarios import SCENARIOS, lacking, play


@pytest.mark.parametrize("name", SCENARIOS)
def test_fault(name: str) -> None:
    reason = lacking(name)
    if reason:
        pytest.skip(reason)
    figures = play(name, short=True)
    assert figures.facts
    assert figures.missed == []
