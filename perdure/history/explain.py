"""Why a node is in the state that it is in.

The first cause that holds is the cause: what holds up the whole run comes before what holds up a node, and a
node before those that it waits for. Pure: all of it is in the model of the run and in `ServerFacts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from perdure.engine.state import TERMINAL_STATES
from perdure.history.causes import FAILED_PHASES, Cause, ServerFacts, cause_of
from perdure.history.model import NodeModel, Phase, RunModel

MAX_CHAIN_COUNT: Final = 20
"""Nodes that are followed from a node to the one that holds it up."""

_ROW: Final = re.compile(r"(?P<map>.*)\[(?P<row>\d+)\]\.[^.\[]+")
_PASS: Final = re.compile(r"(?P<node>.*)@(?P<number>\d+)")
_AT_SERVER: Final = (Phase.BACKOFF, Phase.PAUSED, Phase.LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why the node at `address` is in its state.

    `chain` are the nodes from the one that it waits for to the one that holds all of them up; `also` are
    the causes that hold besides, those of the chain among them.
    """

    address: str
    state: str
    cause: Cause
    chain: tuple[str, ...] = ()
    also: tuple[Cause, ...] = ()


def explanation_of(model: RunModel, address: str, facts: ServerFacts) -> Explanation:
    """Explains the state of a node. Raises UsageError for an address that the run cannot have."""
    to_come = _row_to_come(model, address) or _pass_to_come(model, address)
    if to_come is not None:
        return Explanation(address=address, state="waiting", cause=to_come)
    node = model.node(address)
    chain = [node]
    while len(chain) < MAX_CHAIN_COUNT:
        following = _holdup(model, chain[-1])
        if following is None or following in chain:
            break
        chain.append(following)
    causes = [*_run_causes(model, node, facts), *(cause_of(model, other, facts) for other in chain)]
    return Explanation(
        address=node.address,
        state=str(node.phase),
        cause=causes[0],
        chain=tuple(other.address for other in chain[1:]),
        also=tuple(causes[1:]),
    )


def _holdup(model: RunModel, node: NodeModel) -> NodeModel | None:
    """Of the nodes that a node waits for, or of those inside it, the one that holds it up."""
    if node.waits_for:
        needed = [model.nodes[address] for address in node.waits_for]
        ended = [other for other in needed if other.phase in FAILED_PHASES]
        working = [other for other in needed if not other.waits_for]
        return next(iter([*ended, *working, *needed]), None)
    if node.rows is not None and node.phase is Phase.RUNNING:
        inside = (other for other in model.inside(node.address) if other.state in ("queued", "executing"))
        return next(inside, None)
    return None


def _run_causes(model: RunModel, node: NodeModel, facts: ServerFacts) -> Iterator[Cause]:
    if node.state in TERMINAL_STATES:
        return
    if not model.is_open:
        what = f": {model.failure}" if model.failure else ""
        yield Cause("run-over", f"the run is {model.state}{what}", f"perdure history {model.id}", model.ended)
        return
    if facts.paused is not None:
        hint = f"temporal workflow unpause -w {model.id}"
        yield Cause("run-paused", f"the run is paused at the server {facts.paused}".rstrip(), hint)
    if facts.is_cancelling:
        yield Cause("cancelling", "the run was asked to stop: it ends when a worker is notified")
    if facts.attempt > 1:
        finding = f"the run is stuck: workers fail at its next step, attempt {facts.attempt}"
        yield Cause("run-stuck", finding, "the logs of its workers say why")
    is_at_worker = node.phase is Phase.RUNNING and node.placement == "activity"
    if facts.are_gone(model.queue) and not (is_at_worker or node.phase in _AT_SERVER):
        finding = f"no worker advances the run: none serves task queue {model.queue!r}"
        yield Cause("no-worker", finding, f"perdure worker --queue {model.queue}")


def _row_to_come(model: RunModel, address: str) -> Cause | None:
    """Why the row of this address has not begun; None for any other address."""
    match = None if address in model.nodes else _ROW.fullmatch(address)
    node = None if match is None else model.nodes.get(match["map"])
    if match is None or node is None or node.rows is None or int(match["row"]) >= node.rows.total:
        return None
    rows, ahead = node.rows, int(match["row"]) - node.rows.opened
    finding = f"row {match['row']} of {node.address} has not begun: {rows.opened} of {rows.total} have"
    return Cause("row", f"{finding}, {ahead} are before it")


def _pass_to_come(model: RunModel, address: str) -> Cause | None:
    match = None if address in model.nodes else _PASS.fullmatch(address)
    node = None if match is None else model.nodes.get(match["node"])
    if match is None or node is None:
        return None
    last = max(other.iteration for other in model.nodes.values() if other.node == node.node)
    return Cause("pass", f"pass {match['number']} of the loop has not begun: the last one is {last}")
