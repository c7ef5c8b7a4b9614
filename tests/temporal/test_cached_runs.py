"""What a worker forgets of the runs that it keeps in memory."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.catalog import catalog
from perdure.temporal import cached_runs
from perdure.temporal.cached_runs import CachedRun, CachedRuns, idle_runs, surplus
from perdure.temporal.held_runs import HOLDERS
from perdure.worker import WorkerOptions, build_worker
from tests.support.durable import embedded
from tests.support.waiting import until

ASKS = {"nodes": {"a": {"agent": "textInputAgent", "params": {"message": "?"}, "isResult": True}}}


class Held:
    """The workflow of a run that holds this much."""

    def __init__(self, size: int) -> None:
        self.size = size

    def held_bytes(self) -> int:
        return self.size


def runs(**sizes: tuple[int, float]) -> tuple[CachedRuns, list[Held]]:
    """Runs by their sizes in MB and the seconds since their last task; their workflows, to be kept."""
    holders = {name: Held(size * 1_000_000) for name, (size, _) in sizes.items()}
    HOLDERS.update(holders)
    cached = {name: CachedRun("w", name, 1000.0 - idle) for name, (_, idle) in sizes.items()}
    return cached, [*holders.values()]


def test_those_that_hold_much_and_do_nothing() -> None:
    cached, kept = runs(large=(5, 10), small=(1, 10), busy=(5, 1), larger=(500, 20))
    cached["gone"] = CachedRun("w", "gone", 0.0)
    assert idle_runs(cached, 1000.0) == ["large", "larger"]
    assert kept


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ({"a": (200, 10), "b": (200, 20)}, []),
        ({"a": (200, 10), "b": (200, 20), "c": (200, 30)}, ["c"]),
        ({"a": (300, 10), "b": (100, 20), "c": (100, 30), "d": (300, 1)}, ["c", "b", "a"]),
        ({"a": (1, 10), "b": (600, 1)}, []),
    ],
    ids=["within the bound", "the one idle for longest", "until it is enough", "none that is busy"],
)
def test_those_that_are_too_much(sizes: dict[str, tuple[int, float]], chosen: list[str]) -> None:
    cached, kept = runs(**sizes)
    assert surplus(cached, idle_runs(cached, 1000.0)) == chosen
    assert kept


@pytest.mark.anyio
async def test_a_run_that_was_terminated_leaves_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: dict[str, Any] = {"CACHE_POLL_INTERVAL_S": 0.1, "MIN_IDLE_S": 0.0, "LARGE_RUN_BYTES": 1}
    for name, value in limits.items():
        monkeypatch.setattr(cached_runs, name, value)
    async with embedded(tmp_path / "home") as client:
        options = WorkerOptions(agents=catalog(), settings=client.settings)
        async with build_worker(client.temporal, "perdure", options):
            ended, other = [await client.start(ASKS) for _ in range(2)]
            for run in (ended, other):
                await until(lambda run=run: _asks(run), "it asks")
            names = [(await run.describe()).info.first_run_id for run in (ended, other)]
            assert all(HOLDERS[name].held_bytes() > 0 for name in names)
            await ended.terminate("seen enough")
            await until(lambda: gc.collect() >= 0 and HOLDERS.get(names[0]) is None, "it is forgotten")
            assert names[1] in HOLDERS
            await other.answer("a", "yes")
            await other.result()


async def _asks(run: Any) -> bool:
    status = await run.status()
    return bool(status and status.questions)
