"""Every fault, in its short version; `python -m tests.faults` plays the long ones."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.scenarios import SCENARIOS, lacking
from tests.support.forked import Ended, ended_module

AT_A_TIME = 3
"""Scenarios at a time, each in a process of its own: they wait more than they work."""


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Ended]]]:
    """The scenarios that were chosen, as they are played."""
    items = [item for item in request.session.items if item.path == Path(__file__)]
    names = [item.callspec.params["name"] for item in items if hasattr(item, "callspec")]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {name: pool.submit(_play, name) for name in names if not lacking(name)}


def _play(name: str) -> Ended:
    return ended_module("tests.faults", name, "--short")


@pytest.mark.parametrize("name", SCENARIOS)
def test_fault(played: dict[str, Future[Ended]], name: str) -> None:
    if name not in played:
        pytest.skip(lacking(name))
    done = played[name].result()
    assert done.stdout.startswith(f"{name}: held"), done.stdout + done.stderr
    assert done.returncode == 0


def test_it_says_which_there_are() -> None:
    done = _play("nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no nonsense; there are network, disk, " in done.stderr
