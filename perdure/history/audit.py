"""Who did what in a run, and what it reached: the answers of an audit, from the history alone.

Each entry is plain data with `kind` and `at` (milliseconds since the epoch), in the order of time:

    start      `by` (what the client said of itself), `principal` (whose key has signed the start), `graph`
               and its `sha256`, `policy`
    call       `node`, `agent`, `workers`, `state`, and by name `hosts`, `files`, `secrets`; of one that
               people have approved, its SHA-256 (`approved`), and who they are (`by`)
    refusal    `node`, `agent`, `why`: a call that was not granted, and not sent
    answer     `node`, `by`, `how`; the answer itself is in the run
    approval   the same of a call that was refused at first, and `answer`; the path names the call
    change     `by`, `why`, `what`, `sha256` of the graph afterwards
    end        `state`, and `why` for a failure

What a call reached is what its inputs name: an address that a redirect led to is not in a history. Values are
left out: an audit is kept longer than runs, and read by others.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from perdure.engine.lifecycle.approvals import APPROVAL_MARK
from perdure.graph.text.json_dump import dump
from perdure.graph.values import Value, is_dict, is_list
from perdure.history.model import NodeModel, RunModel
from perdure.policy.labels import ASKS_MODEL, READS, SENDS, SHIPPED_LABELS, WRITES
from perdure.policy.secret_rules import SECRET_MARK

MAX_AUDITED_NAME_COUNT: Final = 100
"""Hosts, files and secrets of one call that an audit names."""

_GRANTED: Final = "not granted: "
_SECRET: Final = re.compile(rf"(?:^|[ ]){SECRET_MARK}([A-Za-z_][\w.-]*)")
_LOCAL: Final = frozenset({"engine", "person"})


def audit_of(model: RunModel) -> list[dict[str, Any]]:
    """The entries for a run, open or over."""
    entries = [*_start(model), *_calls(model), *_people(model), *_end(model)]
    return sorted(entries, key=lambda entry: (entry["at"] is None, entry["at"] or 0))


def _start(model: RunModel) -> Iterator[dict[str, Any]]:
    first = model.chain[0] if model.chain else None
    profile = model.profile or {}
    policy = {"profile": profile.get("name"), "sha256": profile.get("digest")} if model.profile else None
    request = model.request
    document = model.graph if request is None else request.document
    yield {
        "kind": "start",
        "at": model.started,
        "by": "" if first is None else first.by,
        "principal": "" if request is None else request.principal,
        "graph": model.name,
        "sha256": hashlib.sha256(dump([document])).hexdigest(),
        "policy": policy,
    }


def _calls(model: RunModel) -> Iterator[dict[str, Any]]:
    for node in model.nodes.values():
        if node.agent is None or node.started is None:
            continue
        about = {"at": node.started, "node": node.address, "agent": node.agent}
        if node.failure is not None and _GRANTED in node.failure:
            yield {"kind": "refusal", **about, "why": node.failure.partition("\n")[0]}
        elif node.placement not in _LOCAL:
            workers = [attempt.worker for attempt in node.attempts if attempt.worker]
            yield {
                "kind": "call",
                **about,
                "workers": list(dict.fromkeys(workers)),
                "state": node.state,
                **({"approved": node.approved[0], "by": list(node.approved[1:])} if node.approved else {}),
                **_reached(node),
            }


def _reached(node: NodeModel) -> dict[str, list[str]]:
    """The hosts, files and secrets that the inputs and params of a call name."""
    shipped = SHIPPED_LABELS.get(node.agent or "")
    effect = "" if shipped is None else shipped.effect
    texts = [*_strings(node.inputs), *_strings(node.params)]
    reached: dict[str, list[str]] = {"secrets": [name for _, text in texts for name in _SECRET.findall(text)]}
    if effect in (SENDS, ASKS_MODEL):
        reached["hosts"] = [_host(text) for _, text in texts if re.match("https?://", text)]
    if effect in (READS, WRITES):
        reached["files"] = [text for key, text in texts if key in ("file", "array")]
    return {
        kind: list(dict.fromkeys(filter(None, names)))[:MAX_AUDITED_NAME_COUNT]
        for kind, names in reached.items()
        if any(names)
    }


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # no request can be made of it
        return ""


def _strings(value: Value, key: str = "") -> Iterator[tuple[str, str]]:
    """All strings in a value, with the key of the object that they are in."""
    todo: list[tuple[str, Value]] = [(key, value)]
    while todo:
        name, item = todo.pop()
        if isinstance(item, str):
            yield name, item
        elif is_dict(item):
            todo += [(str(inner), part) for inner, part in item.items()]
        elif is_list(item):
            todo += [(name, part) for part in item]


def _people(model: RunModel) -> Iterator[dict[str, Any]]:
    for question in model.closed:
        is_approval = APPROVAL_MARK in question.node
        yield {
            "kind": "approval" if is_approval else "answer",
            "at": question.at,
            "node": question.node,
            "by": question.who,
            "how": question.how,
            **({"answer": question.shown} if is_approval else {}),
        }
    for change in model.interventions:
        yield {
            "kind": "change",
            "at": change.at,
            "by": change.who,
            "why": change.why,
            "what": change.what,
            "sha256": change.hash,
        }


def _end(model: RunModel) -> Iterator[dict[str, Any]]:
    if model.ended is not None:
        why = (model.failure or "").partition("\n")[0]
        yield {"kind": "end", "at": model.ended, "state": model.state, **({"why": why} if why else {})}
