"""Graphs that wait for more than they get, collect more than they may, and count what has no end."""

from __future__ import annotations

from typing import Any

from tests.poison.case import Case, graph, one, raw, request

MANY = 1e300

WAITS: dict[str, Any] = {
    "a wait of 1e300": one("waitAgent", params={"for": MANY}),
    "a wait of a string": one("waitAgent", params={"for": "9" * 100_000 + "h"}),
    "a wait until no time": one("waitAgent", params={"until": "9" * 100_000}),
    "a wait until long ago": one("waitAgent", params={"until": -MANY}),
    "a wait for a list": one("waitAgent", {"until": [[]]}, params={"for": {}}),
    "1e300 events": one("eventAgent", params={"topic": "t", "count": MANY}),
    "events of a topic of 1 MB": one("eventAgent", params={"topic": "t" * 1_000_000}),
    "events of 100,000 senders": one(
        "eventAgent",
        {"from": [f"run-{number}" for number in range(100_000)]},
        params={"topic": "t", "count": "all"},
    ),
    "a window of 1e300": one(
        "windowAgent", {"events": [{"at": MANY, "body": {}}]}, params={"tumbling": MANY, "hold": MANY}
    ),
    "windows of a millisecond": one(
        "windowAgent",
        {"events": [{"at": 0, "body": {"x": 1}}, {"at": 1e13, "body": {"x": 1}}]},
        params={"sliding": {"size": 1, "step": 1}, "tumbling": "1ms"},
    ),
    "an event to itself": one("sendAgent", {"to": "nobody", "topic": "t", "body": "x" * 1_000_000}),
    "2,000 waits at once": graph(
        n={"agent": "countingAgent", "params": {"count": 2000}},
        m={
            "agent": "mapAgent",
            "inputs": {"rows": ":n.list"},
            "graph": {"nodes": {"w": {"agent": "waitAgent", "params": {"for": "10d"}}}},
        },
    )
    | {"concurrency": 5000},
    "2,000 questions at once": graph(
        n={"agent": "countingAgent", "params": {"count": 2000}},
        m={
            "agent": "mapAgent",
            "inputs": {"rows": ":n.list"},
            "graph": {"nodes": {"q": {"agent": "textInputAgent", "params": {"message": "?" * 3000}}}},
        },
    )
    | {"concurrency": 5000},
}

COUNTS: dict[str, Any] = {
    "loops in rows": graph(
        m={
            "agent": "mapAgent",
            "inputs": {"rows": list(range(1000))},
            "graph": {"loop": {"count": 10_000}, "nodes": {"c": {"agent": "copyAgent", "inputs": {"x": 1}}}},
        }
    ),
    "loops in loops": {
        "version": 0.5,
        "loop": {"count": 1000},
        "nodes": {
            "n": {
                "agent": "nestedAgent",
                "inputs": {"x": 1},
                "graph": {
                    "loop": {"count": 10_000},
                    "nodes": {"c": {"agent": "copyAgent", "inputs": {"x": 1}}},
                },
            }
        },
    },
    "a quorum of 1e300 rows": graph(
        m={
            "agent": "mapAgent",
            "inputs": {"rows": [1, 2]},
            "params": {"quorum": MANY, "deadline": MANY, "grace": MANY, "limit": MANY},
            "graph": {"nodes": {"c": {"agent": "copyAgent", "inputs": {"x": ":row"}}}},
        }
    ),
    "a hedge of 1e300": one("sleeperAgent", hedge={"after": MANY, "queue": "perdure"}),
    "a fallback of 64 MB": one("popAgent", {"array": 5}, fallback={"x": ["y" * 100_000] * 20}),
}

STARTS = {
    f"{name}: {value!r}"[:60]: [request(one("copyAgent"), **{name: value})]
    for name, value in (
        ("reuse", 5),
        ("reuse", {}),
        ("reuse", {"run": 5, "record": [], "handles": {}}),
        ("reuse", {"run": "x", "record": {"a": 5}, "handles": [[]], "calls": 5}),
        ("indexes_questions", "yes"),
        ("loop_count", 1e300),
        ("loop_count", "x"),
        ("force_loop", 5),
        ("results", 5),
        ("state", {"scheduler": {"format": 1e300}}),
    )
}

BYTES = {
    "a reuse of binary": [raw(b'{"document":{},"reuse":"\\u0000"}', b"json/plain", perdure_places=b"\xff")],
    "a payload of another kind": [raw(b"\x00" * 100_000, b"json/protobuf")],
    "an encoding of 100 KB": [raw(b"{}", b"j" * 100_000)],
}


def cases() -> list[Case]:
    """All of them."""
    waiting = [
        Case(name=name, kind="waits", document=document, may_wait=True, waits_outside=True)
        for name, document in WAITS.items()
    ]
    counting = [Case(name=name, kind="work", document=document) for name, document in COUNTS.items()]
    starts = [
        Case(name=f"start {name}", kind="starts", start=start) for name, start in {**STARTS, **BYTES}.items()
    ]
    return [*waiting, *counting, *starts]
