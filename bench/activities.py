"""Graphs of activities against the same activities called by a workflow written by hand."""

from __future__ import annotations

from collections.abc import Sequence

from bench import graphs, hand_written
from bench.harness import Comparison, Options, Side, alternate
from bench.session import HAND, PERDURE, durable

BOUND = 1.10


async def chain(options: Options) -> Comparison:
    """Activities one after another."""
    size = options.size(100, 3)
    compared = Comparison(name="chain", title="Chain of activities", unit="node", size=size)
    async with durable() as session:
        ours = session.ours(graphs.chain(size, "step"), {f"s{size}": {"n": size}})
        await _compare(
            compared, options, [ours, session.hand(hand_written.Chain.run, size, expect={"n": size})]
        )
    return compared


async def fan(options: Options) -> Comparison:
    """Activities at once, and one that takes all their results."""
    size = options.size(200, 3)
    compared = Comparison(name="fan", title="Fan of activities", unit="node", size=size)
    async with durable() as session:
        ours = session.ours(graphs.fan(size, "step", "collect"), {"all": {"n": size}})
        await _compare(
            compared, options, [ours, session.hand(hand_written.Fan.run, size, expect={"n": size})]
        )
    return compared


async def _compare(compared: Comparison, options: Options, sides: Sequence[Side]) -> None:
    await alternate(compared, sides, options.pairs)
    compared.compare(PERDURE, HAND, BOUND)
    compared.compare(PERDURE, HAND, BOUND, what="worker CPU", label="CPU of the worker")
    compared.compare(PERDURE, HAND, what="server CPU", label="CPU of the server")


COMPARISONS = {"chain": chain, "fan": fan}
