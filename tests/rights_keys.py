"""Keys in full: python -m tests.rights_keys [--flips N] [--runs N]

Flips bits of signed and of encrypted payloads, none of which may be read as what it was. Then opens runs
that ask, changes the key that writes while they are open, sends each of them forged answers and signals,
answers them with the new key, and counts how they end. Exits with 1 if one is not answered by its
client.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final, Literal

from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.converter import WorkflowSerializationContext

from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.protocol.payload_codec import KeyedCodec
from perdure.protocol.wire import to_payload
from perdure.settings.key_ring import KeyRing
from perdure.transport import reach
from perdure.worker import WorkerOptions, build_worker
from tests.support.durable import embedded
from tests.support.waiting import until

FLIP_COUNT: Final = 10_000
RUN_COUNT: Final = 100
NOW: Final = datetime(2020, 1, 1, tzinfo=UTC)
MODES: Final[Sequence[Literal["mac", "aead"]]] = ("mac", "aead")
ASKING: Final[dict[str, Any]] = {
    "nodes": {
        "who": {"agent": "textInputAgent"},
        "hi": {"agent": "copyAgent", "inputs": {"n": ":who.text"}, "isResult": True},
    }
}


async def flips(count: int) -> int:
    """How many of `count` payloads with a flipped bit were read as what they were."""
    value, taken, draw = to_payload({"x": [1, "two"], "y": "z" * 50}), 0, Random(11)
    here = WorkflowSerializationContext(namespace="default", workflow_id="run-1")
    for mode in MODES:
        codec = KeyedCodec(KeyRing.new(NOW), mode).with_context(here)
        data = (await codec.encode([value]))[0].SerializeToString(deterministic=True)
        for _ in range(count // len(MODES)):
            changed = bytearray(data)
            changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            with suppress(Exception):  # it is not a payload any more
                taken += (await codec.decode([Payload.FromString(bytes(changed))]))[0] == value
    return taken


async def turned(home: Path, count: int) -> int:
    """How many of `count` open runs did not end with the answer of their client."""
    old = KeyRing.new(NOW)
    both = old.with_new_key(NOW)
    new = both.writing_with(list(both.keys)[1])
    async with embedded(home, "off") as client:
        stranger = client.temporal
        async with served(client, both) as first:
            runs = [await first.start(ASKING, id=f"turned-{number}") for number in range(count)]
            for run in runs:
                await until(run.questions)
        async with served(client, new) as second:
            await asyncio.gather(*(forge(stranger, run.id) for run in runs))
            for run in runs:
                await second.get(run.id).answer("who", run.id)
            results = [await second.get(run.id).result() for run in runs]
    return sum(result.results != {"hi": {"n": run.id}} for run, result in zip(runs, results, strict=True))


@asynccontextmanager
async def served(client: GraphClient, ring: KeyRing) -> AsyncGenerator[GraphClient]:
    """A client with these keys, and its worker while the block lasts."""
    address = client.temporal.service_client.config.target_host
    settings = replace(client.settings, queue="turned")
    keyed = GraphClient(await reach({"target_host": address}, codec=KeyedCodec(ring)), settings)
    async with build_worker(keyed.temporal, "turned", WorkerOptions(agents=catalog(), settings=settings)):
        yield keyed


async def forge(stranger: Client, id: str) -> None:
    """What someone without a key sends to a run."""
    handle = stranger.get_workflow_handle(id)
    answer = {"path": "who", "value": "Mallory"}
    await handle.signal("perdure.answer", answer)
    await handle.signal("anything", "else")
    with suppress(WorkflowUpdateFailedError):
        await handle.execute_update("answer", answer)


async def main(flip_count: int, run_count: int) -> int:
    taken = await flips(flip_count)
    print(f"{flip_count:,} flipped bits: {taken} taken", flush=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        wrong = await turned(Path(folder) / "home", run_count)
    print(f"{run_count:,} open runs while the key changed, with forged answers: {wrong} ended otherwise")
    return 1 if taken or wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.rights_keys", description=__doc__)
    parser.add_argument("--flips", type=int, default=FLIP_COUNT, help="flipped bits (%(default)s)")
    parser.add_argument("--runs", type=int, default=RUN_COUNT, help="open runs (%(default)s)")
    args = parser.parse_args()
    sys.exit(asyncio.run(main(args.flips, args.runs)))
