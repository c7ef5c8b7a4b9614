"""Every scenario in its short version: some processes die, and no bar is missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from perdure import server
from perdure.errors import ConnectionFailed
from tests.chaos import SCENARIOS, scenario

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_scenario_meets_its_bars(name: str, tmp_path: Path) -> None:
    try:
        server.find()
    except ConnectionFailed:
        pytest.skip("no `temporal` program: pip install 'perdure[server]'")
    module = scenario(name)
    verdict = await module.run(module.SHORT, tmp_path / "home")
    assert verdict.met, verdict.table()
