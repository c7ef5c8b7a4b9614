"""Every scenario in its short version: some processes die, and no bar is missed."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from perdure import server
from perdure.cli import logs
from perdure.errors import ConnectionFailed
from tests.chaos import SCENARIOS, scenario

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_scenario_meets_its_bars(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    try:
        server.find()
    except ConnectionFailed:
        pytest.skip("no `temporal` program: pip install '.[server]'")
    logs.quiet_core()
    caplog.set_level(logging.ERROR, "temporalio")  # clients complain about every server that dies
    module = scenario(name)
    verdict = await module.run(module.SHORT, tmp_path / "home")
    if not verdict.met:
        pytest.fail(verdict.table(), pytrace=False)
