"""Mutations of payloads: of their JSON where it is, of its bytes, and of the metadata."""

from __future__ import annotations

import json
import math
from random import Random
from typing import Any

from temporalio.api.common.v1 import Payload

from perdure.protocol.wire import PLACES

ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 5, 1.5, 1e300, 10**400, math.nan, "", "x" * 50, "\ud800", "__proto__", ":v.x.$0"),
    *([], {}, [[]], [1] * 5, [None, None], {"x": 1}, {"nodes": {}}),
)
PATHS: tuple[Any, ...] = ([], [0], ["document"], ["x", 7], ["state", "scheduler"], [True], [-1], "x")
MARKS: tuple[Any, ...] = (
    *("NaN", "Infinity", "undefined", "unknown", 5, None),
    ["stored", "0" * 64, 70_000, "object", 2, ["a", "b"]],
    ["stored", 1],
    ["part", ["stored", "0" * 64, 9, "list", 1, None], [["$0", True]], False],
    ["whole", {"x": None}, [[["x"], "undefined"]]],
    ["joined", [None], []],
    ["merged", ["stored", "0" * 64, 9, "object", 1, None], {}, []],
)
ENCODINGS = (b"json/plain", b"json/protobuf", b"binary/plain", b"binary/null", b"\xff", b"")
NESTING = (100, 499, 600, 5_000)
BROKEN = (b"", b"{", b"5", b"null", b"[[]]", b"[[[],[]]]", b"\xff")


def hostile(payload: Payload, random: Random) -> Payload:
    """A payload with one to three mutations, mostly one."""
    made = Payload(metadata=payload.metadata, data=payload.data)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        draw = random.random()
        if draw < 0.6:
            made.data = rewritten(made.data, random)
        elif draw < 0.75:
            made.data = damaged(made.data, random)
        else:
            _describe(made, random)
    return made


def rewritten(data: bytes, random: Random) -> bytes:
    """JSON with one value changed, removed, doubled or renamed; what is not JSON stays."""
    try:
        return json.dumps(mutated(json.loads(data), random)).encode()
    except (ValueError, RecursionError):
        return data


def mutated(value: Any, random: Random) -> Any:
    """A copy of `value` that differs in one place."""
    if not (isinstance(value, dict | list) and value) or random.random() < 0.08:
        return random.choice(ODD)
    draw, copy = random.random(), value.copy()
    key = random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value))
    if draw < 0.12:
        del copy[key]
    elif draw < 0.2:
        _doubled(copy, key, random)
    else:
        copy[key] = mutated(value[key], random)
    return copy


def _doubled(copy: Any, key: Any, random: Random) -> None:
    if isinstance(copy, list):
        copy.insert(key, random.choice(copy))
    else:
        copy[random.choice([*copy, f"{key}x", "calls", "state"])] = copy[key]


def damaged(data: bytes, random: Random) -> bytes:
    """Bytes with one changed, cut off, or nested deeply."""
    draw = random.random()
    if draw < 0.4 and data:
        place = random.randrange(len(data))
        return data[:place] + bytes([random.randrange(256)]) + data[place + 1 :]
    if draw < 0.7:
        return data[: random.randrange(len(data) + 1)]
    depth = random.choice(NESTING)
    return b"[" * depth + data + b"]" * depth


def _describe(made: Payload, random: Random) -> None:
    """Changes what the metadata says: the encoding, or the places of what JSON does not hold."""
    names = sorted(made.metadata)
    draw = random.random()
    if draw < 0.35:
        paths = (*PATHS, *[_path(made.data, random)] * len(PATHS))
        places = [[random.choice(paths), random.choice(MARKS)] for _ in range(random.randint(1, 2))]
        made.metadata[PLACES] = json.dumps(places).encode()
    elif draw < 0.5:
        made.metadata[PLACES] = random.choice(BROKEN)
    elif draw < 0.7:
        made.metadata["encoding"] = random.choice(ENCODINGS)
    elif names:
        name = random.choice(names)
        made.metadata[name] = rewritten(made.metadata[name], random)


def _path(data: bytes, random: Random) -> list[str | int]:
    """A path to something in JSON; to all of what is not JSON."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return []
    path: list[str | int] = []
    while isinstance(value, dict | list) and value and random.random() < 0.8:
        path.append(random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value)))
        value = value[path[-1]]
    return path
