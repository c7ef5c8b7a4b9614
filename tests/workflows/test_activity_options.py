"""How a call becomes an activity: its id, its limits, its retries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from perdure.engine.messages import NodeOptions
from perdure.workflows.activity_options import (
    CALL_DEADLINE,
    FINAL_ERROR_TYPES,
    LOCAL_ACTIVITY_TIMEOUT,
    MAX_ACTIVITY_ID_CHARS,
    SERVER_TIMEOUT_MARGIN,
    local,
    remote,
    shortened,
)

pytestmark = pytest.mark.unit


def test_an_activity_on_a_queue() -> None:
    options = remote(NodeOptions(), "m[3].a", "q")
    policy = options.pop("retry_policy")
    assert options == {
        "task_queue": "q",
        "activity_id": "m[3].a",
        "summary": "m[3].a",
        "heartbeat_timeout": timedelta(seconds=10),
        "start_to_close_timeout": CALL_DEADLINE,
        "schedule_to_close_timeout": CALL_DEADLINE,
    }
    assert policy.initial_interval == timedelta(seconds=1)
    assert policy.maximum_attempts == 0
    assert tuple(policy.non_retryable_error_types) == FINAL_ERROR_TYPES


def test_a_local_activity() -> None:
    options = local(NodeOptions(), "a")
    assert sorted(options) == [
        "activity_id",
        "retry_policy",
        "schedule_to_close_timeout",
        "start_to_close_timeout",
        "summary",
    ]
    assert options["start_to_close_timeout"] == LOCAL_ACTIVITY_TIMEOUT


@pytest.mark.parametrize("make", [lambda node: remote(node, "a", "q"), lambda node: local(node, "a")])
def test_the_node_sets_timeout_and_backoff(make: Any) -> None:
    options = make(NodeOptions(timeout=2_500, backoff=0.25))
    assert options["start_to_close_timeout"] == timedelta(seconds=2.5) + SERVER_TIMEOUT_MARGIN
    assert options["retry_policy"].initial_interval == timedelta(seconds=0.25)


def test_a_batch_says_how_many_more_there_are() -> None:
    assert remote(NodeOptions(), "m[0].a", "q", 12)["summary"] == "m[0].a and 11 more"


def test_long_paths_have_short_ids_that_differ() -> None:
    paths = [f"{'x' * 300}{number}" for number in range(3)]
    ids = [shortened(path, MAX_ACTIVITY_ID_CHARS) for path in paths]
    assert [len(each) <= MAX_ACTIVITY_ID_CHARS for each in ids] == [True] * 3
    assert len(set(ids)) == 3
    assert ids == [shortened(path, MAX_ACTIVITY_ID_CHARS) for path in paths]
    assert shortened("short", MAX_ACTIVITY_ID_CHARS) == "short"
