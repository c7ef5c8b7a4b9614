"""The scheduler alone, and the replay of histories."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from bench import graphs, hand_written, peers
from bench.harness import Comparison, Options, alternate
from bench.session import HAND, PERDURE, Session, durable

EVENTS = 100_000.0
PLAN = 0.5
REPLAY = 1.3
CHAIN, FAN = "chain", "fan"


async def events(options: Options) -> Comparison:
    """Answers to calls, handled without any shell."""
    size = options.size(10_000, 20)
    compared = Comparison(name="events", title="Events of the scheduler alone", unit="event", size=size)
    await _inside(compared, options, "events")
    for shape in (CHAIN, FAN):
        compared.state(shape, f"events per second, {shape}", EVENTS, of=lambda seconds: size / seconds)
    return compared


async def plan(options: Options) -> Comparison:
    """Checking a graph and making its plan."""
    size = options.size(10_000, 20)
    compared = Comparison(name="plan", title="Check and plan of a graph", unit="node", size=size)
    await _inside(compared, options, "plan")
    for shape in (CHAIN, FAN):
        compared.state(shape, f"seconds for a {shape}", PLAN, of=lambda seconds: seconds, at_most=True)
    return compared


async def _inside(compared: Comparison, options: Options, work: str) -> None:
    talker = await peers.inside()
    try:
        sides = [
            peers.side(shape, talker, work=work, shape=shape, size=compared.size) for shape in (CHAIN, FAN)
        ]
        await alternate(compared, sides, options.pairs)
    finally:
        await talker.stop()


async def replay(options: Options) -> Comparison:
    """Histories of as many activities, replayed as the workers of each side do it."""
    size = options.size(650, 3)  # six events each, and below the 4,000 at which a run continues as new
    compared = Comparison(name="replay", title="Replay of a history of activities", unit="event", size=0)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        async with durable() as session:
            lengths = await _record(session, size, folder)
        compared.size = lengths[PERDURE]
        talker = await peers.inside()
        stack.push_async_callback(talker.stop)
        sides = [
            peers.side(who, talker, lengths[who], work="replay", file=str(folder / who), ours=who == PERDURE)
            for who in (PERDURE, HAND)
        ]
        await alternate(compared, sides, options.pairs)
    compared.compare(PERDURE, HAND, REPLAY)
    compared.notes.append(f"{lengths[PERDURE]} events against {lengths[HAND]}")
    return compared


async def _record(session: Session, size: int, folder: Path) -> dict[str, int]:
    """Makes a run of each kind and saves their histories; how many events they have."""
    run = await session.graphs.start(graphs.chain(size, "step"), queue="bench-perdure")
    handles = {PERDURE: run.handle, HAND: await session.begin(hand_written.Chain.run, size)}
    lengths: dict[str, int] = {}
    for who, handle in handles.items():
        await handle.result()
        history = await handle.fetch_history()
        lengths[who] = len(history.events)
        (folder / who).write_text(history.to_json())
    return lengths


COMPARISONS = {"events": events, "plan": plan, "replay": replay}
