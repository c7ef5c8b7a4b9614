"""Ray actors as sessions. The tests that call Ray are skipped where it is not installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import pytest

from perdure.agents.engines import RayActor
from perdure.errors import RunFailed
from perdure.memory.shell import memory_shell
from tests.support import ROOT

pytestmark = pytest.mark.anyio

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")

ACTOR = {"agent": "rayActorAgent", "session": "a"}


@pytest.mark.parametrize(
    ("params", "finding"),
    [
        ({"class": "Worker", "method": "__init__"}, "not a method that a graph may call"),
        ({"class": "Worker"}, "not a method that a graph may call"),
    ],
)
async def test_what_a_graph_may_not_call(params: dict[str, Any], finding: str) -> None:
    with pytest.raises(RunFailed, match=finding):
        await memory_shell({"nodes": {"a": {**ACTOR, "params": params}}}, [RayActor]).run()


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="ray is installed")
async def test_an_error_names_the_extra() -> None:
    params = {"class": "Worker", "method": "process_data"}
    with pytest.raises(RunFailed, match=r"\.\[ray\]"):
        await memory_shell({"nodes": {"a": {**ACTOR, "params": params}}}, [RayActor]).run()


@needs_ray
def test_actors_give_what_they_give_without_a_graph_and_survive_their_death() -> None:
    """In a process of its own: Ray leaves threads and sockets behind."""
    words = [sys.executable, "-m", "tests.agents.engines.ray_check", "--kills", "1"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_of_the_client_imports_an_engine() -> None:
    modules = "perdure.client, perdure.worker, perdure.agents.engines"
    code = f"import sys, {modules}; print({{'ray', 'torch'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
