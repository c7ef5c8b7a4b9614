"""A gang on two hosts whose workers are killed: python -m tests.agents.engines.hosts_check

Two workers, each with a name, a home folder and a task queue of its own, run a rank each. In one run after
the other, the worker of one host is killed with SIGKILL in the middle, and started again. Prints how many
steps were taken again, after how long the gang continued, and how long the start takes on two hosts and on
one. Exits with 1 if a curve is not that of a run in which nothing died, or if more steps were taken again
than there are from one checkpoint to the next.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from perdure import daemon
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.worker import WorkerOptions, build_worker
from tests.support import ROOT
from tests.support.durable import embedded
from tests.support.waiting import until

STEP_COUNT: Final = 30
CHECKPOINT_COUNT: Final = 10
HOSTS: Final = ("a", "b")
AGENTS: Final = "from perdure.agents.engines import gang\nfrom tests.agents.engines import ranks\n"


def worker(folder: Path, client: GraphClient, host: str) -> subprocess.Popen[bytes]:
    address = client.temporal.service_client.config.target_host
    environment = {
        "PERDURE_HOME": str(folder / host),
        "PERDURE_CODEC": "mac",
        "PERDURE_CODEC_KEYS": f"file:{client.settings.home / 'payload.keys'}",
        "TEMPORAL_ADDRESS": address,
        "PYTHONPATH": str(ROOT),
    }
    words = ("worker", "--host", host, "--queue", "unused", "--agents", str(folder / "gang_agents.py"))
    with (folder / f"{host}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "perdure", *words],
            env={**environment, "PATH": os.defpath},
            stdout=log,
            stderr=log,
        )


def graph(folder: Path, hosts: Sequence[str], pause_s: float, steps: int) -> dict[str, Any]:
    params = {"function": "trainTest", "size": 2, "steps": steps, "checkpointEvery": CHECKPOINT_COUNT}
    several = len(hosts) > 1
    meet = {"rendezvous": f"127.0.0.1:{daemon.free_port('127.0.0.1')}"} if several else {}
    part = {
        "agent": "gangAgent",
        "queue": ":row.queue",
        "heartbeat": 2,
        "inputs": {"steps": str(folder / "steps"), "pause": pause_s, "rank": ":row.rank"},
        "params": {**params, **meet},
        "isResult": True,
    }
    rows = [{"rank": rank, "queue": f"@{host}"} for rank, host in enumerate(hosts)]
    node = {
        "agent": "mapAgent",
        "inputs": {"rows": ":hosts"},
        "params": {"compositeResultKey": "part"},
        "isResult": True,
        "graph": {"nodes": {"part": part}},
    }
    return {"nodes": {"hosts": {"value": rows}, "gang": node}}


def steps_of(folder: Path, rank: int) -> list[int]:
    path = folder / "steps"
    lines = path.read_text().splitlines() if path.exists() else []
    return [int(line.split()[1]) for line in lines if line.startswith(f"{rank} ")]


async def started_s(client: GraphClient, folder: Path, hosts: Sequence[str]) -> float:
    """Seconds from the start of a run to the end of its first step."""
    (folder / "steps").unlink(missing_ok=True)
    began = time.monotonic()
    run = await client.start(graph(folder, hosts, 0, 1), queue="gangs")
    await run.result()
    return time.monotonic() - began


async def killed(client: GraphClient, folder: Path, workers: dict[str, Any], host: str | None) -> Any:
    """The curve, the steps of rank 0 that were taken again, and the seconds until it moved on."""
    (folder / "steps").unlink(missing_ok=True)
    run = await client.start(graph(folder, HOSTS, 0.2, STEP_COUNT), queue="gangs")
    again_s = 0.0
    if host is not None:
        await until(lambda: 17 in steps_of(folder, 0), "the gang is in the middle", 300)
        workers[host].kill()
        workers[host].wait()
        began, count = time.monotonic(), len(steps_of(folder, 0))
        workers[host] = worker(folder, client, host)
        await until(lambda: len(steps_of(folder, 0)) > count + 1, "the gang continues", 300)
        again_s = time.monotonic() - began
    curve = (await run.result()).results["gang"][0]["curve"]
    return curve, len(steps_of(folder, 0)) - STEP_COUNT, again_s


async def main(kills: int) -> int:
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "gang_agents.py").write_text(AGENTS)
        async with embedded(folder / "home") as client:
            workers = {host: worker(folder, client, host) for host in HOSTS}
            options = WorkerOptions(agents=catalog(), settings=client.settings)
            try:
                async with build_worker(client.temporal, "gangs", options):
                    await started_s(client, folder, HOSTS)  # both workers are up after it
                    for hosts in (HOSTS, HOSTS[:1], HOSTS, HOSTS[:1]):
                        seconds = await started_s(client, folder, hosts)
                        print(
                            f"a gang of 2 on {len(hosts)} host(s), start to end of one step: {seconds:.2f} s"
                        )
                    curve, _, _ = await killed(client, folder, workers, None)
                    for number in range(kills):
                        host = HOSTS[number % 2]
                        other, again, seconds = await killed(client, folder, workers, host)
                        wrong += other != curve or again > CHECKPOINT_COUNT
                        same = "the same curve" if other == curve else "another curve"
                        print(f"host {host} killed: {again} steps again, on after {seconds:.1f} s, {same}")
            finally:
                for process in workers.values():
                    process.kill()
                    process.wait()
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.agents.engines.hosts_check")
    parser.add_argument("--kills", type=int, default=4)
    sys.exit(asyncio.run(main(parser.parse_args().kills)))
