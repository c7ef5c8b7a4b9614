"""Starts by strangers, and messages to a run that waits for a person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from temporalio.common import RawValue

from tests.poison.case import Case, graph, one, raw, request

GOOD = one("copyAgent")
SLEEPS = one("sleeperAgent", params={"duration": 1})
ASKS = graph(a={"agent": "textInputAgent", "params": {"message": "?"}, "isResult": True})
STORED = graph(s={"value": None}, a={"agent": "copyAgent", "inputs": {"x": ":s"}, "isResult": True})


def _request(**fields: Any) -> list[RawValue]:
    return [request(**{"document": GOOD, **fields})]


def _marked(mark: bytes, document: Any = STORED) -> list[RawValue]:
    return [raw(json.dumps({"document": document}).encode(), perdure_special=mark)]


def _stored(name: str) -> list[RawValue]:
    place = ["document", "nodes", "s", "value"]
    return _marked(json.dumps([[place, ["stored", name, 70_000, "string", 70_000, None]]]).encode())


_PLACE = b'[[["document","nodes","s","value"],'
_PART = b'["part",' * 3000 + b'["stored","' + b"0" * 64 + b'",1,"string",1,null]' + b",[],false]" * 3000
_STATE: dict[str, Any] = {"scheduler": {}, "progress": {}, "places": [], "began": 0, "bytes": 0}

STARTS: dict[str, Sequence[RawValue]] = {
    "no argument": [],
    "two arguments": [*_request(), raw(b"1")],
    "a list": [raw(b"[1,2]")],
    "a string": [raw(b'"x"')],
    "null": [raw(b"null")],
    "an empty object": [raw(b"{}")],
    "not JSON": [raw(b"{")],
    "no bytes": [raw(b"")],
    "binary": [raw(b"\x00\x01\x02", b"binary/plain")],
    "encrypted": [raw(b"\x00\x01\x02", b"binary/encrypted")],
    "deep JSON": [raw(b'{"document":' + b"[" * 100_000 + b"]" * 100_000 + b"}")],
    "NaN": [raw(b'{"document":{"nodes":{"a":{"value":NaN}}}}')],
    "a long number": [raw(b'{"document":' + b"9" * 100_000 + b"}")],
    "a number beyond doubles": [
        raw(
            b'{"document":{"nodes":{"n":{"value":'
            + b"9" * 400
            + b'},"a":{"agent":"copyAgent","isResult":true,'
            b'"inputs":{"x":":n.add(1)","y":"${:n}","z":[":n.toString()",":n.equal(1)"]}}}}}'
        )
    ],
    "lone surrogates": [raw(b'{"document":{"nodes":{"a":{"value":"\\ud800"}}}}')],
    **{
        f"{name}: {json.dumps(value)[:20]}": _request(**{name: value})
        for name, value in (
            ("document", 5),
            ("document", None),
            ("document", {"nodes": []}),
            ("document", {"nodes": {"a": 5}}),
            ("name", 5),
            ("name", {}),
            ("name", "x" * 100_000),
            ("injects", 5),
            ("injects", [[1]]),
            ("injects", [["a", 1, 2, 3]]),
            ("quotas", {"calls": "many"}),
            ("quotas", {"calls": 1e300}),
            ("quotas", [1]),
            ("config", 5),
            ("graphs", 5),
            ("events", "x"),
            ("events", -1),
            ("events", 1e300),
            ("bypass_agents", 5),
            ("previous_results", 5),
            ("indexed", "yes"),
            ("state", 5),
            ("state", {}),
            ("state", _STATE),
            ("state", {**_STATE, "began": "x"}),
            ("unknown", {"x": 1}),
        )
    },
    "queue: 5": _request(document=SLEEPS, queue=5),
    "queue: 100 KB": _request(document=SLEEPS, queue="q" * 100_000),
    "marks: not JSON": _marked(b"{"),
    "marks: a number": _marked(b"5"),
    "marks: a path to nowhere": _marked(b'[[["document","zz","q"],"undefined"]]'),
    "marks: unknown": _marked(b'[[["document"],["lambda",1]]]'),
    "marks: no such object": _stored("0" * 64),
    "marks: a path of files": _stored("../../etc/passwd"),
    "marks: deep": _marked(_PLACE + _PART + b"]]"),
}

MESSAGES: dict[str, tuple[str, str, Any]] = {
    **{
        f"answer {json.dumps(value)[:20]}": ("update", "answer", value)
        for value in (
            None,
            5,
            "x",
            [],
            {},
            ["a"],
            ["nowhere", "x"],
            ["a", {"x": 1}],
            [5, 5],
        )
    },
    **{
        f"{name} {json.dumps(value)[:40]}": ("update", name, value)
        for name in ("event", "steer")
        for value in (
            None,
            5,
            [],
            {},
            ["a"],
            {"events": 5},
            {"events": [5, None]},
            {"events": [{"topic": None, "id": [], "body": {}}]},
            {"events": [{"topic": "t", "id": "i", "key": 5, "sender": {}, "at": "x"}]},
            {"who": 5, "why": None},
            {"who": "x", "why": "y", "graph": 5},
            {"who": "x", "why": "y", "values": [[1]]},
            {"who": "x", "why": "y", "retries": [None, 5], "skips": {}},
            {"who": "x", "why": "y", "retries": ["nowhere"], "running": "x", "rows": 5},
            {"who": "x", "why": "y", "pauses": ["a" * 100_000] * 20},
        )
    },
    "an answer of 3 MB": ("update", "answer", ["a", "x" * 3_000_000]),
    "a change of 3 MB": ("update", "steer", {"who": "x" * 3_000_000}),
    "an unknown update": ("update", "nonsense", 1),
    "an unknown signal": ("signal", "nonsense", {"x": 1}),
    "a signal with the name of an update": ("signal", "answer", ["a", "no"]),
    "a signal of the SDK's": ("signal", "__temporal_x", 1),
}


def cases() -> list[Case]:
    """All of them."""
    return [
        *(Case(name=f"start {name}", kind="starts", start=start) for name, start in STARTS.items()),
        *(
            Case(name=f"message {name}", kind="messages", document=ASKS, messages=[message])
            for name, message in MESSAGES.items()
        ),
    ]
