"""Maps of one activity agent over many rows, against a workflow that keeps a window of them on their way."""

from __future__ import annotations

from bench import graphs, hand_written
from bench.harness import Comparison, Options, alternate
from bench.session import HAND, PERDURE, durable

BOUND = 1.15
WIDTH = 100
"""Rows on their way at once: as many as a worker takes."""

BATCH = 100
BATCHED = f"perdure, batch: {BATCH}"
TIMES = 30.0


async def rows(options: Options) -> Comparison:
    """One activity for each row, and one for each `BATCH` rows."""
    size = options.size(10_000, 8)
    compared = Comparison(name="map", title="Map of an activity over rows", unit="row", size=size)
    window = hand_written.Window(list(range(size)), WIDTH)
    expected = {"map": {"work": [{"n": index + 1} for index in range(size)]}}
    async with durable() as session:
        ours = session.ours(graphs.rows(size, "step", WIDTH), expected)
        hand = session.hand(hand_written.Map.run, window, expect=expected["map"]["work"])
        many = session.ours(graphs.rows(size, "step", size, BATCH), expected, name=BATCHED)
        await alternate(compared, [ours, hand, many], options.pairs, warm_up=False)
    compared.compare(PERDURE, HAND, BOUND)
    compared.compare(PERDURE, HAND, what="worker CPU", label="CPU of the worker")
    compared.compare(HAND, BATCHED, TIMES, at_most=False)
    compared.state(BATCHED, "rows per second in batches", of=lambda seconds: size / seconds)
    compared.notes.append(f"{WIDTH} rows at once, or all in batches of {BATCH}; the first call is counted")
    return compared


COMPARISONS = {"map": rows}
