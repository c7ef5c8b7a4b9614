"""Maps of one activity agent over many rows, against a workflow that keeps a window of them on their way."""

from __future__ import annotations

from bench import graphs, hand_written
from bench.harness import Comparison, Options, Series, alternate
from bench.session import HAND, PERDURE, durable
from perdure.graph.fields import COMPUTED_KEYS

BOUND = 1.15
WIDTH = 100
"""Rows on their way at once: as many as a worker takes."""

BATCH = 100
BATCHED = f"perdure, batch: {BATCH}"
TIMES = 30.0


async def rows(options: Options) -> Comparison:
    """One activity for each row."""
    size = options.size(10_000, 8)
    compared = Comparison(name="map", title="Map, an activity for each row", unit="row", size=size)
    window = hand_written.Window(list(range(size)), WIDTH)
    async with durable() as session:
        expected = {"map": {"work": [{"n": index + 1} for index in range(size)]}}
        ours = session.ours(graphs.rows(size, "step", WIDTH), expected)
        hand = session.hand(hand_written.Map.run, window, expect=expected["map"]["work"])
        await alternate(compared, [ours, hand], options.pairs, warm_up=False)
    compared.compare(PERDURE, HAND, BOUND)
    compared.compare(PERDURE, HAND, what="worker CPU", label="CPU of the worker")
    compared.notes.append(f"{WIDTH} rows at once on both sides; the first call is counted")
    return compared


async def batches(options: Options) -> Comparison:
    """One activity for `BATCH` rows."""
    size = options.size(10_000, 8)
    compared = Comparison(name="map-batch", title="Map in batches", unit="row", size=size)
    if "batch" not in COMPUTED_KEYS:
        reason = "no node has the key `batch`"
        compared.series.append(Series(name=BATCHED, error=reason, missing=True))
        return compared
    expected = {"map": {"work": [{"n": index + 1} for index in range(size)]}}
    async with durable(PERDURE) as session:
        one = session.ours(graphs.rows(size, "step", WIDTH), expected)
        many = session.ours(graphs.rows(size, "step", size, BATCH), expected, name=BATCHED)
        await alternate(compared, [one, many], options.pairs, warm_up=False)
    compared.compare(PERDURE, BATCHED, TIMES, at_most=False)
    compared.state(BATCHED, "rows per second", of=lambda seconds: size / seconds)
    return compared


COMPARISONS = {"map": rows, "map-batch": batches}
