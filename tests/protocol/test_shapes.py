"""What crosses Temporal is read as records of a known shape, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.common.v1 import Payload

from perdure.errors import MalformedPayload
from perdure.graph.deferred import BlobRef
from perdure.protocol.agents import AgentRegistry
from perdure.protocol.encoding import MAX_SPECIAL_DEPTH, MAX_WIRE_DEPTH, decode
from perdure.protocol.payloads import AgentCall, Answer, RunRequest, RunResult, RunStatus, StreamTail
from perdure.protocol.records import from_plain
from perdure.protocol.wire import MAX_UNREADABLE_CHARS, from_payload

BLOB = BlobRef("0" * 64, 70_000, "object", 3)

MALFORMED: list[tuple[type[Any], Any, str]] = [
    (AgentCall, [], "AgentCall: a value of type list is not an object"),
    (AgentCall, {"agent": "a"}, "AgentCall: inputs is missing"),
    (AgentCall, {"agent": 5, "inputs": 1}, "agent: a value of type int does not belong here"),
    (AgentCall, {"agent": "a", "inputs": 1, "params": []}, "params: a value of type list"),
    (AgentCall, {"agent": "a", "inputs": 1, "timeout": True}, "timeout: a value of type bool"),
    (AgentCall, {"agent": "a", "inputs": 1, "retry": 1.5}, "retry: a value of type float"),
    (Answer, {"path": "a"}, "Answer: value is missing"),
    (RunRequest, {"document": 5}, "document: a value of type int"),
    (RunRequest, {"document": BLOB}, "document: a value of type BlobRef"),
    (RunRequest, {"document": {}, "injects": [["a"]]}, "injects: a value of type list"),
    (RunRequest, {"document": {}, "quotas": {"calls": "many"}}, "calls: a value of type str"),
    (RunResult, {"states": {"a": 5}}, "states: a value of type dict"),
    (RunStatus, {"nodes": [5]}, "nodes: a value of type list"),
    (RunStatus, {"nodes": 5}, "nodes: a value of type int"),
    (StreamTail, {"attempt": 1, "offset": "0", "text": ""}, "offset: a value of type str"),
    (AgentRegistry, {"pure": [5]}, "pure: a value of type list"),
]


@pytest.mark.parametrize(("kind", "data", "finding"), MALFORMED, ids=[case[2] for case in MALFORMED])
def test_another_shape_is_refused(kind: type[Any], data: Any, finding: str) -> None:
    with pytest.raises(MalformedPayload) as caught:
        from_plain(kind, data)
    assert str(caught.value).startswith(finding)


def test_what_may_be_stored_as_a_whole() -> None:
    assert from_plain(AgentCall, {"agent": "a", "inputs": BLOB, "params": BLOB}).params is BLOB
    assert from_plain(RunResult, {"results": BLOB}).results is BLOB


def test_depth() -> None:
    for limit in (MAX_WIRE_DEPTH, MAX_WIRE_DEPTH - 1):
        assert decode(b"[" * limit + b"]" * limit)
    assert decode(b'["' + b"[" * 5 * MAX_WIRE_DEPTH + b'"]')
    deeper = b"[" * (MAX_WIRE_DEPTH + 1) + b"]" * (MAX_WIRE_DEPTH + 1)
    with pytest.raises(ValueError, match="nested deeper than 500 levels"):
        decode(deeper)
    assert decode(deeper, strict=False)


def test_depth_of_what_is_deferred() -> None:
    part, end = b'["part",', b",[],false]"
    mark = b'["stored","0",1,"string",1,null]'
    for depth, is_read in ((MAX_SPECIAL_DEPTH - 10, True), (MAX_SPECIAL_DEPTH + 1, False)):
        special = b"[[[]," + part * depth + mark + end * depth + b"]]"
        payload = Payload(metadata={"encoding": b"json/plain", "perdure-special": special}, data=b"null")
        if is_read:
            assert from_payload(payload) is not None
        else:
            with pytest.raises(MalformedPayload, match="nested deeper than 200 levels"):
                from_payload(payload)


def test_what_a_message_repeats_of_an_encoding() -> None:
    payload = Payload(metadata={"encoding": b"e" * 10_000}, data=b"{")
    with pytest.raises(MalformedPayload) as caught:
        from_payload(payload)
    assert str(caught.value) == f"a value is encoded as '{'e' * MAX_UNREADABLE_CHARS}', not as JSON"
    assert len(str(caught.value)) < 300
