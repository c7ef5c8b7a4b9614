"""Functions that gangs of tests run."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from perdure.agents.engines import GangMember, gang_function

NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
ENVIRONMENT = dict(os.environ)  # noqa: TID251 -- what the gang has set


@gang_function("ringTest")
def ring_test(member: GangMember, inputs: Any, params: Mapping[str, Any]) -> Any:
    """Adds up an array around the ring, and says how many bytes this rank has sent."""
    array = np.full(int(inputs["length"]), float(member.rank + 1))
    total = member.all_reduce(array)
    return {"sum": total, "bytes": member.sent_bytes, "environment": [name in ENVIRONMENT for name in NAMES]}


@gang_function("trainTest")
def train_test(member: GangMember, inputs: Any, params: Mapping[str, Any]) -> Any:
    """Descends on the mean of the targets of all ranks; dies once, in a step that the inputs name."""
    weight = np.zeros(1) if member.resume is None else member.resume["weight"]
    curve = [] if member.resume is None else member.resume["curve"]
    steps = Path(inputs["steps"])
    for step in range(member.step + 1, int(params["steps"]) + 1):
        with steps.open("a") as log:
            log.write(f"{member.rank} {step}\n")
        dies = (member.rank, step) == (inputs.get("dies"), inputs.get("at"))
        if dies and not Path(inputs["died"]).exists():
            Path(inputs["died"]).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(float(inputs.get("pause", 0)))
        gradient = member.all_reduce(weight - float(member.rank)) / member.size
        weight = weight - 0.5 * gradient
        curve = [*curve, float(weight[0])]
        member.save(step, {"weight": weight, "curve": curve})
    return {"weight": weight, "curve": curve}


@gang_function("failTest")
def fail_test(member: GangMember, inputs: Any, params: Mapping[str, Any]) -> Any:
    """Fails in rank 1, while rank 0 waits for it."""
    if member.rank == 1:
        print("x" * int(inputs["chars"]), flush=True)
        raise ValueError("there is no data")
    member.all_reduce(np.zeros(4))


@gang_function("waitTest")
def wait_test(member: GangMember, inputs: Any, params: Mapping[str, Any]) -> Any:
    """Writes its process id and waits."""
    Path(inputs["folder"], f"pid-{member.rank}").write_text(str(os.getpid()))
    time.sleep(600)
