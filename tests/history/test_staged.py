"""Causes that a real server brings about, of those that no other test does; `staged` has all of them."""

import pytest

from perdure import server
from perdure.errors import ConnectionFailed
from tests.history.staged import main

pytestmark = pytest.mark.anyio


async def test_the_cause_is_named() -> None:
    try:
        server.find()
    except ConnectionFailed:
        pytest.skip("no `temporal` program: pip install '.[server]'")
    assert await main(["run-paused", "cancelling", "run-stuck", "pass", "continuing", "window"]) == 0
