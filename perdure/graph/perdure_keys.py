"""Checks of the keys of a node, and of the params of a map, that GraphAI does not know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from perdure.errors import Problem
from perdure.graph.bounds import MAX_NODE_TIME_MS, MAX_SESSION_CALL_COUNT
from perdure.graph.fields import GRAPH_RUNNERS, LATE_ROWS, PLACEMENTS, needs_of
from perdure.graph.template_compiler import references_in
from perdure.graph.values import UNDEFINED, Value, is_dict, is_number
from perdure.policy.parse import grant_problems


def perdure_key_problems(place: str, node: dict[str, Value]) -> Iterator[Problem]:
    """What is wrong with Perdure's own keys of the node at `place`."""
    if "queue" in node and not (isinstance(node["queue"], str) and node["queue"]):
        yield Problem("queue", f"{place}.queue", "queue names a task queue", "write a string such as 'gpu'")
    elif str(node.get("queue", ""))[:1] == ":" and not any(True for _ in references_in(node["queue"])):
        hint = "write ':node.prop', or the name of a task queue"
        yield Problem("queue", f"{place}.queue", "queue begins with ':' and refers to no node", hint)
    if "placement" in node and node["placement"] not in PLACEMENTS:
        hint = f"one of {', '.join(PLACEMENTS)}"
        yield Problem("placement", f"{place}.placement", "no such placement", hint)
    if "backoff" in node and not (is_number(node["backoff"]) and node["backoff"] > 0):
        hint = "give a number such as 2"
        yield Problem("backoff", f"{place}.backoff", "backoff is a time in seconds above 0", hint)
    if "deadline" in node and not (is_number(node["deadline"]) and node["deadline"] > 0):
        hint = "give a number such as 60000"
        yield Problem("deadline", f"{place}.deadline", "deadline is a time in milliseconds above 0", hint)
    if "heartbeat" in node and not (is_number(node["heartbeat"]) and node["heartbeat"] >= 1):
        hint = "give a number such as 2"
        yield Problem("heartbeat", f"{place}.heartbeat", "heartbeat is a time in seconds from 1 on", hint)
    if "batch" in node and not (is_number(node["batch"]) and 1 <= node["batch"] <= 1000):
        hint = "give a number such as 100"
        yield Problem("batch", f"{place}.batch", "batch is a number of calls from 1 to 1000", hint)
    if "allow" in node:
        yield from grant_problems(f"{place}.allow", node["allow"])
    yield from _object_problems(place, node)


def _object_problems(place: str, node: dict[str, Value]) -> Iterator[Problem]:
    if "hedge" in node:
        yield from _hedge_problems(f"{place}.hedge", node["hedge"])
    if "session" in node:
        yield from _session_problems(place, node, node["session"])
    if node.get("agent") == "mapAgent" and is_dict(node.get("params")):
        yield from quorum_problems(f"{place}.params.", node["params"])


def _hedge_problems(place: str, hedge: Value) -> Iterator[Problem]:
    after = hedge.get("after") if is_dict(hedge) else None
    if after is None or not is_number(after) or not 0 < after <= MAX_NODE_TIME_MS:
        hint = "write hedge: {after: 5000}, and the queue of the second call if it is another"
        yield Problem("hedge", place, "hedge says after how many milliseconds to call again", hint)
    elif is_dict(hedge) and "queue" in hedge and not (isinstance(hedge["queue"], str) and hedge["queue"]):
        yield Problem("hedge", f"{place}.queue", "queue names a task queue", "write a string such as 'gpu'")
    elif is_dict(hedge) and set(hedge) - {"after", "queue"}:
        unknown = ", ".join(sorted(set(hedge) - {"after", "queue"}))
        yield Problem("hedge", place, f"hedge has no key {unknown!r}", "it has after and queue")


def _session_problems(place: str, node: dict[str, Value], session: Value) -> Iterator[Problem]:
    said = session if is_dict(session) else {"id": session}
    every, id, lossy = said.get("checkpoint", 1), said.get("id"), said.get("lossy", False)
    strange = sorted(set(said) - {"id", "checkpoint", "lossy"})
    excluded = [key for key in ("batch", "hedge") if key in node]
    finding, hint = "", ""
    if not (is_number(id) or (isinstance(id, str) and id)):
        finding, hint = "session needs an id", "write session: ':row.id', or session: {id: ':row.id'}"
    elif not (is_number(every) and 1 <= every <= MAX_SESSION_CALL_COUNT and every == int(every)):
        finding = f"checkpoint is a number of calls from 1 to {MAX_SESSION_CALL_COUNT}"
        hint = "give a number such as 10"
    elif not isinstance(lossy, bool):
        finding, hint = "lossy is true or false", "write lossy: true"
    elif strange:
        finding, hint = f"session has no key {strange[0]!r}", "it has id, checkpoint and lossy"
    elif node.get("placement") == "local" or excluded or node.get("agent") in GRAPH_RUNNERS:
        other = "a graph" if node.get("agent") in GRAPH_RUNNERS else (excluded or ["placement: local"])[0]
        finding, hint = f"a node with a session cannot have {other}", "leave one of them out"
    if finding:
        yield Problem("session", f"{place}.session", finding, hint)


def needs_problems(graphs: Iterable[tuple[str, Value]]) -> Iterator[Problem]:
    """What is wrong with `metadata.needs` of these graphs, each with its place."""
    for place, graph in graphs:
        needs = needs_of(graph)
        if needs is not None:
            yield from grant_problems(f"{place}.metadata.needs" if place else "metadata.needs", needs)


def quorum_problems(place: str, params: Mapping[str, Value]) -> Iterator[Problem]:
    """What is wrong with the quorum of a map and its times; `place` comes before the names of params."""
    asked = params.get("quorum")
    if asked is None or asked is UNDEFINED:
        return
    if not is_number(asked) or not 0 < asked < float("inf") or (asked >= 1 and asked != int(asked)):
        hint = "write a number of rows, such as 7, or a share of them below 1, such as 0.8"
        yield Problem("quorum", f"{place}quorum", "quorum says how many rows are enough", hint)
    for key in ("deadline", "grace"):
        value = params.get(key)
        if value is None or value is UNDEFINED:
            continue
        if not is_number(value) or not 0 <= value <= MAX_NODE_TIME_MS:
            hint = "give a number such as 60000"
            yield Problem("quorum", f"{place}{key}", f"{key} is a time in milliseconds", hint)
    late = params.get("late")
    if late is not None and late is not UNDEFINED and late not in LATE_ROWS:
        hint = f"one of {', '.join(LATE_ROWS)}"
        yield Problem("quorum", f"{place}late", "late says what becomes of rows that are late", hint)
