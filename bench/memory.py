"""Runs in memory against GraphAI on node: from the document to the result, nothing recorded."""

from __future__ import annotations

from contextlib import AsyncExitStack

from bench import graphs, peers
from bench.harness import Comparison, Options, alternate
from bench.pure import GRAPHAI, Others
from bench.session import PERDURE


async def chain(options: Options) -> Comparison:
    """Pure nodes one after another."""
    return await _compare("chain", "Chain in memory", options)


async def fan(options: Options) -> Comparison:
    """Pure nodes at once."""
    return await _compare("fan", "Fan in memory", options)


async def _compare(shape: str, title: str, options: Options) -> Comparison:
    size = options.size(1000, 5)
    compared = Comparison(name=f"memory-{shape}", title=title, unit="node", size=size)
    document = graphs.chain(size, "add") if shape == "chain" else graphs.fan(size, "add", "count")
    async with AsyncExitStack() as stack:
        others = Others(stack, compared)
        sides = await others.side(PERDURE, peers.inside(), size, "memory", shape=shape)
        peer = await others.start(GRAPHAI, peers.graphai())
        if peer is not None:
            await peer.ask(work="graph", name="graph", document=document)
            sides.append(peers.side(GRAPHAI, peer, size, work="run", name="graph"))
        await alternate(compared, sides, max(options.pairs, 1 if options.quick else 15), warm_up=True)
    compared.compare(PERDURE, GRAPHAI, 1.0)
    compared.state(PERDURE, "nodes per second", of=lambda seconds: size / seconds)
    return compared


COMPARISONS = {"memory-chain": chain, "memory-fan": fan}
