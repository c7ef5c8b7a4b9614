"""Records as the mappings that travel: the forms that recorded histories hold."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.engine.human_tasks import HumanPrompt
from perdure.engine.messages import Quotas, RunOptions
from perdure.graph.values import UNDEFINED
from perdure.protocol.encoding import decode, encode
from perdure.protocol.payloads import NodeStatus, RunRequest, RunResult, RunStatus, StreamTail
from perdure.protocol.records import from_plain, to_lean, to_plain

OPTIONS = RunOptions(
    injects=(("a", 1), ("a", UNDEFINED)),
    config={"global": {"k": 1}},
    graphs={"sub.yaml": {}},
    bypass_agents=["elsewhere"],
    force_loop=True,
    loop_count=3,
    previous_results={"a": 2},
    events=100,
    quotas=Quotas(calls=5, seconds=60),
)
REQUEST = RunRequest(document={"nodes": {}}, name="g", queue="q", options=OPTIONS, indexed=True)
PLAIN: dict[str, Any] = {
    "document": {"nodes": {}},
    "name": "g",
    "queue": "q",
    "injects": [["a", 1], ["a", UNDEFINED]],
    "config": {"global": {"k": 1}},
    "graphs": {"sub.yaml": {}},
    "bypass_agents": ["elsewhere"],
    "force_loop": True,
    "loop_count": 3,
    "previous_results": {"a": 2},
    "events": 100,
    "quotas": {"calls": 5, "seconds": 60},
    "indexed": True,
    "state": None,
    "indexes_questions": False,
    "reuse": None,
    "principal": "",
}

STATUS = RunStatus(
    questions=(HumanPrompt(path="ask", message="Name?"),),
    nodes=(NodeStatus(path="a", state="executing", since=5),),
    streams=(StreamTail(1, 0, "tail", "a"),),
)


def test_the_options_of_a_run_travel_among_its_fields() -> None:
    assert to_plain(REQUEST) == PLAIN
    data, places = encode(to_plain(REQUEST), apart=True)
    read = from_plain(RunRequest, decode(data, places))
    assert to_plain(read) == PLAIN
    assert (read.options.quotas, read.options.events) == (OPTIONS.quotas, 100)


@pytest.mark.parametrize(
    ("request_", "lean"),
    [
        (RunRequest(document={}), {"document": {}}),
        (
            REQUEST,
            {
                name: value
                for name, value in PLAIN.items()
                if name not in ("state", "indexes_questions", "reuse", "principal")
            },
        ),
    ],
)
def test_what_is_as_usual_does_not_travel(request_: RunRequest, lean: dict[str, Any]) -> None:
    assert to_lean(request_) == lean
    assert to_plain(from_plain(RunRequest, lean)) == to_plain(request_)


def test_what_another_version_knows() -> None:
    sent = {"document": {}, "loop_count": 2, "quotas": {"calls": 1, "moons": 2}, "colour": "red"}
    options = RunOptions(loop_count=2, quotas=Quotas(calls=1))
    assert from_plain(RunRequest, sent) == RunRequest(document={}, options=options)


def test_a_status_holds_records() -> None:
    plain = to_plain(STATUS)
    assert plain["questions"] == [to_plain(HumanPrompt(path="ask", message="Name?"))]
    assert plain["streams"] == [{"attempt": 1, "offset": 0, "text": "tail", "path": "a", "account": None}]
    assert from_plain(RunStatus, plain) == STATUS
    assert from_plain(RunStatus, {"name": "old"}) == RunStatus(name="old")


def test_the_place_of_a_failure_is_written_where_there_is_one() -> None:
    assert "place" not in to_plain(RunResult())
    failed = RunResult(failure="no", place="a.b")
    assert to_plain(failed)["place"] == to_lean(failed)["place"] == "a.b"
    assert from_plain(RunResult, to_plain(failed)) == failed
