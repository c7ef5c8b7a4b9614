"""Graphs of pure nodes, recorded in history, against those who record steps in other ways or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench import graphs, peers
from bench.harness import Comparison, Options, Series, Side, alternate
from bench.peers import postgres
from bench.processes import Missing, Talker
from bench.session import PERDURE, durable

RATE = 10_000.0
"""Nodes per second that are wanted."""

GRAPHAI = "GraphAI"
LANGGRAPH = "LangGraph, SQLite"
DBOS = "DBOS, SQLite"
DBOS_POSTGRES = "DBOS, PostgreSQL"
BOUNDS = {LANGGRAPH: 12.0, DBOS: 30.0, DBOS_POSTGRES: None, GRAPHAI: None}


async def chain(options: Options) -> Comparison:
    """Pure nodes one after another."""
    size = options.size(1000, 5)
    compared = Comparison(name="pure-chain", title="Chain of pure nodes", unit="node", size=size)
    await _compare(compared, options, graphs.chain(size, "add"), size)
    return compared


async def fan(options: Options) -> Comparison:
    """Pure nodes at once, and one that takes all their results."""
    size = options.size(1000, 5)
    compared = Comparison(name="pure-fan", title="Fan of pure nodes", unit="node", size=size)
    await _compare(compared, options, graphs.fan(size, "add", "count"), size)
    return compared


async def _compare(compared: Comparison, options: Options, document: graphs.Document, size: int) -> None:
    last = next(name for name, node in document["nodes"].items() if node.get("isResult"))
    shape = compared.name.removeprefix("pure-")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        session = await stack.enter_async_context(durable(PERDURE))
        sides = [session.ours(document, {last: {"n": size}})]
        others = Others(stack, compared)
        peer = await others.start(GRAPHAI, peers.graphai())
        if peer is not None:
            await peer.ask(work="graph", name="graph", document=document)
            sides.append(peers.side(GRAPHAI, peer, size, work="run", name="graph"))
        sides += await others.side(LANGGRAPH, peers.langgraph(folder), size, shape)
        sides += await others.side(DBOS, peers.dbos(f"sqlite:///{folder}/dbos.db"), size, shape)
        try:
            url = stack.enter_context(postgres.server(folder))
        except Missing as error:
            compared.series.append(Series(name=DBOS_POSTGRES, error=str(error), missing=True))
        else:
            sides += await others.side(DBOS_POSTGRES, peers.dbos(url), size, shape)
        await alternate(compared, sides, options.pairs)
    compared.state(PERDURE, "nodes per second", RATE, of=lambda seconds: size / seconds)
    for name, bound in BOUNDS.items():
        compared.compare(name, PERDURE, bound, at_most=False)


class Others:
    """Starts peers for a comparison, which reports those that are missing."""

    def __init__(self, stack: AsyncExitStack, compared: Comparison) -> None:
        self.stack = stack
        self.compared = compared

    async def start(self, name: str, starting: Awaitable[Talker]) -> Talker | None:
        """The peer; None if it is missing."""
        try:
            talker = await starting
        except Missing as error:
            self.compared.series.append(Series(name=name, error=str(error), missing=True))
            return None
        self.stack.push_async_callback(talker.stop)
        return talker

    async def side(
        self, name: str, starting: Awaitable[Talker], size: int, work: str, **more: Any
    ) -> list[Side]:
        """The peer as a side that does `work`; no side if it is missing."""
        talker = await self.start(name, starting)
        return [] if talker is None else [peers.side(name, talker, size, work=work, size=size, **more)]


COMPARISONS = {"pure-chain": chain, "pure-fan": fan}
