"""Data-parallel training through a graph, with ranks that die: python -m tests.agents.engines.torch_check

Trains a linear model with DistributedDataParallel in two processes: once undisturbed, then with a rank killed
in a step, for each rank and some steps. Every loss curve must have the same bits, and no more steps than
`checkpointEvery` are taken again. Prints how long an empty gang takes, and torchrun. It needs perdure[torch].
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from perdure.agents.engines import GangMember, gang_function, torch
from perdure.memory.environment import MemoryEnvironment
from perdure.memory.shell import memory_shell
from perdure.settings import Settings

STEP_COUNT = 30
CHECKPOINT_EVERY = 10
DEATHS = [(0, 1), (0, 15), (1, 9), (1, 25), (0, 30)]
MAX_LATER_S = 1.0


@gang_function("ddp")
def ddp(member: GangMember, inputs: Any, params: Mapping[str, Any]) -> Any:
    import torch as library
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    library.set_num_threads(1)
    library.manual_seed(0)
    model = DistributedDataParallel(nn.Linear(10, 1))
    optimizer = library.optim.SGD(model.parameters(), lr=0.01)
    curve: list[float] = []
    if member.resume is not None:
        weights = {name: library.from_numpy(array) for name, array in member.resume["weights"].items()}
        model.load_state_dict(weights)
        curve = [float(loss) for loss in member.resume["curve"]]
    for step in range(member.step + 1, int(params["steps"]) + 1):
        with Path(inputs["log"]).open("a") as log:
            log.write(f"{member.rank} {step}\n")
        dies = (member.rank, step) == (inputs.get("dies"), inputs.get("at"))
        if dies and not Path(inputs["died"]).exists():
            Path(inputs["died"]).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        generator = library.Generator().manual_seed(1000 * step + member.rank)
        x, y = library.randn(20, 10, generator=generator), library.randn(20, 1, generator=generator)
        optimizer.zero_grad()
        loss = nn.MSELoss()(model(x), y)
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
        member.save(step, {"weights": model.state_dict(), "curve": curve})
    return {"weights": model.state_dict(), "curve": curve}


async def train(home: Path, **inputs: Any) -> tuple[Any, list[str]]:
    """The result of the node, and the steps that the ranks have taken."""
    log = home / "steps"
    log.unlink(missing_ok=True)
    inputs |= {"log": str(log), "died": str(home / "died")}
    (home / "died").unlink(missing_ok=True)
    params = {"function": "ddp", "steps": STEP_COUNT, "checkpointEvery": CHECKPOINT_EVERY}
    node = {"agent": "torchAgent", "inputs": inputs, "params": params, "isResult": True}
    environment = MemoryEnvironment(settings=Settings(home=home), console=lambda line: None)
    run = memory_shell({"nodes": {"train": node}}, [torch], environment=environment)
    return (await run.run()).results["train"], log.read_text().splitlines()


TORCHRUN = "import torch.distributed as dist; dist.init_process_group('gloo'); dist.destroy_process_group()"


@gang_function("nothing")
def nothing(member: GangMember, inputs: Any, params: Mapping[str, Any]) -> Any:
    return member.size


async def starts(home: Path) -> float:
    """How much longer an empty gang takes than torchrun, the best of three each, in turns."""
    script = home / "empty.py"
    script.write_text(TORCHRUN)
    taken: dict[str, list[float]] = {"torchrun": [], "gang": []}
    for _ in range(3):
        began = time.monotonic()
        words = ["-m", "torch.distributed.run", "--nproc-per-node", "2", str(script)]
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        taken["torchrun"].append(time.monotonic() - began)
        began = time.monotonic()
        node = {"agent": "torchAgent", "params": {"function": "nothing"}, "isResult": True}
        environment = MemoryEnvironment(settings=Settings(home=home), console=lambda line: None)
        await memory_shell({"nodes": {"empty": node}}, [torch], environment=environment).run()
        taken["gang"].append(time.monotonic() - began)
    best = {name: min(times) for name, times in taken.items()}
    print(f"start to end of two empty ranks: gang {best['gang']:.1f} s, torchrun {best['torchrun']:.1f} s")
    return best["gang"] - best["torchrun"]


async def main() -> int:
    wrong = 0
    with TemporaryDirectory() as name:
        home = Path(name)
        calm, steps = await train(home)
        print(f"undisturbed: {len(steps)} steps of both ranks, loss {calm['curve'][-1]:.4f}")
        for rank, at in DEATHS:
            result, steps = await train(home, dies=rank, at=at)
            again = len([step for step in steps if step.startswith("0 ")]) - STEP_COUNT
            same = result["curve"] == calm["curve"]
            wrong += not same or again > CHECKPOINT_EVERY
            print(f"rank {rank} killed in step {at}: {again} steps again, same loss curve: {same}")
        later = await starts(home)
    return int(wrong > 0 or later > MAX_LATER_S)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
