"""What an activity of an agent is called with: anything else is refused."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.activities.arguments import calls_of
from perdure.errors import MalformedPayload
from perdure.graph.deferred import Concat
from perdure.protocol.wire import pack

CALL = {"agent": "copyAgent", "inputs": {}}


@pytest.mark.parametrize(
    "argument",
    [
        None,
        [],
        {"calls": []},
        {"calls": [5]},
        {"calls": Concat(([],))},
        {"calls": [{}], "shared": Concat(({},))},
    ],
)
def test_what_is_no_call_is_refused(argument: Any) -> None:
    with pytest.raises(MalformedPayload):
        calls_of([pack(argument)])


def test_a_batch_holds_calls_over_what_they_share() -> None:
    is_batch, calls = calls_of([pack({"calls": [{"path": "a"}, {"path": "b"}], "shared": CALL})])
    assert is_batch
    assert [(call.agent, call.path) for call in calls] == [("copyAgent", "a"), ("copyAgent", "b")]
