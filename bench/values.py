"""Large values through a graph: what they add to the history and to the time."""

from __future__ import annotations

from bench import graphs, hand_written
from bench.harness import Comparison, Options, alternate
from bench.session import durable

SMALL, LARGE = "perdure, 1 KB", "perdure, 1 MB"
HAND_LARGE = "hand-written, 1 MB"


async def values(options: Options) -> Comparison:
    """A string through ten activities that give it on."""
    compared = Comparison(name="values", title="Large values through ten activities", unit="node", size=10)
    sizes = {SMALL: 1_000, LARGE: options.size(1_000_000, 10_000)}
    async with durable() as session:
        sides = [
            session.ours(graphs.carry(size, "keep"), {"s10": {"n": "x" * size}}, name=name)
            for name, size in sizes.items()
        ]
        large = sizes[LARGE]
        expected = {"n": "x" * large}
        sides.append(session.hand(hand_written.Carry.run, large, expect=expected, name=HAND_LARGE))
        await alternate(compared, sides, options.pairs)
    compared.compare(LARGE, SMALL)
    compared.compare(LARGE, SMALL, what="history bytes", label="bytes of history")
    compared.compare(LARGE, HAND_LARGE)
    compared.compare(LARGE, HAND_LARGE, what="history bytes", label="bytes of history")
    return compared


COMPARISONS = {"values": values}
