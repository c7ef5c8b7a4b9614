"""How much memory an average of many models takes, in models: `python -m tests.aggregation_memory`.

Each figure is the peak of a process that averages updates from a store in a folder, as the activity of
`fedAverageAgent` does, beyond what the process takes without them. `held` is the same with all updates in
memory, as an agent without `blobs` has them. Exits with 1 if opening one at a time takes more than LIMIT
models, or makes another model.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

from perdure.activities.call_inputs import redeemed
from perdure.agents.agent import AgentContext
from perdure.agents.catalog import load_agents
from perdure.agents.threads import in_thread
from perdure.graph.deferred import BlobRef
from perdure.graph.values import Value
from perdure.protocol.numpy_arrays import from_python
from perdure.protocol.payloads import AgentCall
from perdure.protocol.wire import unpack
from perdure.storage import open_store
from perdure.storage.claim_check import ClaimCheck

LIMIT = 6.0
"""Models: the weights, the sum, two updates as one replaces the other, and the result as it is written."""


def main() -> int:
    """Prints a table; 1 if one figure is over the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--bytes", type=int, default=40_000_000, help="of a model")
    parser.add_argument("--rules", nargs="+", default=["mean", "median", "trimmed"])
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part is not None:
        print(json.dumps(asyncio.run(_part(*json.loads(options.part)))))
        return 0
    missed = False
    print(f"{'rule':8} {'sites':>5} {'one at a time':>14} {'seconds':>8} {'held':>7} {'seconds':>8}")
    for rule in options.rules:
        for sites in options.sites:
            with tempfile.TemporaryDirectory() as folder:
                _run(folder, "make", rule, sites, options.bytes)
                one, other = (_run(folder, how, rule, sites, options.bytes) for how in ("blobs", "held"))
            shown = (f"{each['models']:.1f} {each['seconds']:.1f}".split() for each in (one, other))
            (models, seconds), (held, slower) = shown
            print(f"{rule:8} {sites:5} {models:>14} {seconds:>8} {held:>7} {slower:>8}", flush=True)
            missed = missed or one["models"] > LIMIT or one["digest"] != other["digest"]
    return int(missed)


def _run(*words: Any) -> dict[str, Any]:
    command = [sys.executable, "-m", __spec__.name, "--part", json.dumps(words)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


async def _part(folder: str, how: str, rule: str, sites: int, size: int) -> dict[str, Any]:
    claims = ClaimCheck(open_store(folder), 100_000)
    shape = (size // 8 // 2,)
    if how == "make":
        for number in range(sites + 1):
            rng = np.random.default_rng(number)
            model: Value = {name: from_python(rng.random(shape)) for name in "ab"}
            await claims.packed({"weights": model})
            with open(f"{folder}/{number}", "w") as file:
                json.dump(unpack(await claims.packed(model)).digest, file)
        return {}
    return await _averaged(claims, folder, how, rule, sites, size)


async def _averaged(
    claims: ClaimCheck, folder: str, how: str, rule: str, sites: int, size: int
) -> dict[str, Any]:
    def model(number: int) -> BlobRef:
        with open(f"{folder}/{number}") as file:
            return BlobRef(json.load(file), size + 200, "tensors", 2, ("a", "b"))

    agent = load_agents("perdure.agents.distributed.agents")["fedAverageAgent"]
    rows = [{"site": number, "n": number + 1, "weights": model(number)} for number in range(sites)]
    inputs = {"updates": rows, "weights": model(sites)}
    before, begin = _peak(), time.perf_counter()
    if how == "held":
        rows = await claims.redeem(rows)
        inputs = {**inputs, "updates": rows}
    call = AgentCall(agent=agent.name, inputs=inputs, params={"rule": rule})
    values, params = await redeemed(call, agent.blobs, claims)
    result = from_python(await in_thread("average", agent.call, values, params, AgentContext()))
    await claims.packed(result)
    return {
        "models": (_peak() - before) / size,
        "seconds": time.perf_counter() - begin,
        "digest": result["digest"],
    }


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())
