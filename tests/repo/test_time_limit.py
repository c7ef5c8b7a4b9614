"""An asynchronous test that hangs fails alone: those before and after it pass, with what they share."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

CONFTEST = """\
import pytest

@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"

@pytest.fixture(scope="package")
async def shared(anyio_backend):
    yield "shared"
    with open("torn-down", "w"):
        pass
"""
BEGIN = """\
import asyncio
import pytest

pytestmark = pytest.mark.anyio

async def test_before(shared):
    assert shared == "shared"

"""
END = """
async def test_after(shared):
    assert shared == "shared"
"""
HANGS = "async def test_hangs(shared):\n    await asyncio.Event().wait()\n"
SIGNALLED = f"@pytest.mark.timeout(1, func_only=True)\n{HANGS}"
SWALLOWS = """\
async def test_hangs(shared):
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        pass
"""
HANGS_CLEANING_UP = """\
async def test_hangs(shared):
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.Event().wait()
"""
HANGS_IN_SETUP = """\
@pytest.fixture
async def hanging(shared):
    await asyncio.Event().wait()

async def test_hangs(hanging):
    pass
"""
HANGS_IN_TEARDOWN = """\
@pytest.fixture
async def hanging(shared):
    yield
    await asyncio.Event().wait()

async def test_hangs(hanging):
    pass
"""
PLUGINS = ("anyio", "pytest_timeout", "tests.support.time_limit", "no:cacheprovider")
LIMIT = ("-o", "async_timeout=0.2")


@pytest.mark.parametrize(
    ("test", "options", "outcomes"),
    [
        pytest.param(HANGS, LIMIT, ["PASSED", "FAILED", "PASSED"], id="limit"),
        pytest.param(SWALLOWS, LIMIT, ["PASSED", "FAILED", "PASSED"], id="swallows the cancellation"),
        pytest.param(HANGS_CLEANING_UP, LIMIT, ["PASSED", "FAILED", "PASSED"], id="hangs again"),
        pytest.param(HANGS_IN_SETUP, LIMIT, ["PASSED", "ERROR", "PASSED"], id="setup"),
        pytest.param(HANGS_IN_TEARDOWN, LIMIT, ["PASSED", "PASSED", "ERROR", "PASSED"], id="teardown"),
        pytest.param(SIGNALLED, (), ["PASSED", "FAILED", "PASSED"], id="signal"),
    ],
)
def test_a_hanging_test_fails_alone(
    test: str, options: tuple[str, ...], outcomes: list[str], tmp_path: Path
) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(BEGIN + test + END)
    plugins = [word for name in PLUGINS for word in ("-p", name)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", *plugins, *options],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert re.findall(r"^test_it\.py::\w+ (PASSED|FAILED|ERROR)", done.stdout, re.MULTILINE) == outcomes
    assert "await asyncio.Event().wait()" in done.stdout  # where it waits
    assert (tmp_path / "torn-down").exists()
