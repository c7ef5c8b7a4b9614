"""Updates that a run could not answer do not reach it, and the others do, in their order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.bridge.proto.workflow_activation import WorkflowActivation

from perdure.temporal.update_bound import MAX_UPDATES_BYTES, drop_large_updates

HALF = MAX_UPDATES_BYTES // 2


def activation(sizes: Sequence[int], *, is_replay: bool = False) -> WorkflowActivation:
    act = WorkflowActivation()
    act.jobs.add().fire_timer.seq = 1
    for number, size in enumerate(sizes):
        update = act.jobs.add().do_update
        update.name, update.run_validator = f"u{number}", not is_replay
        update.input.append(Payload(data=bytes(size)))
    return act


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        ([], []),
        ([10, 20], ["u0", "u1"]),
        ([MAX_UPDATES_BYTES], []),
        ([3_000_000, 10], ["u1"]),
        ([HALF, HALF, 10], ["u0", "u2"]),
    ],
    ids=["none", "small ones", "one that is too large", "a small one after a large one", "several"],
)
def test_what_reaches_the_run(sizes: Sequence[int], kept: Sequence[str]) -> None:
    act = activation(sizes)
    dropped = drop_large_updates(act)
    assert [job.do_update.name for job in act.jobs if job.HasField("do_update")] == kept
    assert act.jobs[0].HasField("fire_timer")
    assert len(dropped) == len(sizes) - len(kept)


def test_a_replay_gets_all_that_was_accepted() -> None:
    act = activation([3_000_000, 3_000_000], is_replay=True)
    assert drop_large_updates(act) == []
    assert len(act.jobs) == 3


def test_a_log_names_what_was_refused() -> None:
    (line,) = drop_large_updates(activation([3_000_000]))
    assert line.startswith("u0 (3,000,0")
    assert 1_900_000 <= MAX_UPDATES_BYTES <= 2_000_000
