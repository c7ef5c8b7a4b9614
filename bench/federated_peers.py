"""Flower and NVFlare as sides of a comparison, each in its own environment, and the meter of all sides."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from bench.harness import Side
from bench.peers import cache
from bench.processes import Failed, Missing, environment
from perdure.daemon import free_port

HERE = Path(__file__).parent / "peers" / "federated"
PACKAGES = {
    "flower": ["flwr[simulation]>=1.42", "scikit-learn>=1.7"],
    "nvflare": ["nvflare>=2.9", "scikit-learn>=1.7"],
}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Sites share this machine, and each would start a thread for each core to multiply with."""

OWN_NETWORK = "FEDERATED_OWN_NETWORK"
PEER_LIMIT_S = 600.0
"""Seconds that a side may take for all of its rounds, with the start."""


def install() -> None:
    """Makes an environment for each. What fails is reported and left out."""
    for name, packages in PACKAGES.items():
        venv = cache() / name
        for words in (
            [sys.executable, "-m", "venv", str(venv)],
            [str(venv / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", *packages],
        ):
            try:
                subprocess.run(words, check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"bench: {name}: {error}", file=sys.stderr)
                break


def has_own_network() -> bool:
    """Whether this command has a network of its own."""
    return bool(os.environ.get(OWN_NETWORK))


def enter_own_network() -> None:
    """Starts this command again in a network namespace, where that is possible."""
    if has_own_network():
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    elif os.geteuid() == 0 and shutil.which("unshare") and shutil.which("ip"):
        os.environ[OWN_NETWORK] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, "-m", "bench", *sys.argv[1:]])


def model_bytes(hidden: int) -> int:
    """The weights of a model of float32."""
    return 4 * (64 * hidden + hidden + hidden * 10 + 10 if hidden else 650)


@dataclass
class Meter:
    """What the loopback has carried, moment by moment, in a network of its own."""

    taken: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    _ended: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self._ended.wait(0.05):
            self.taken.append((time.time(), _loopback_bytes()))

    def end(self) -> None:
        self._ended.set()

    def per_round(self, marks: Sequence[float]) -> Mapping[str, float]:
        """Seconds of a round, the median, and its bytes, if they are counted. The first round is left out."""
        if len(marks) < 3:
            raise Failed(f"only {len(marks)} rounds were seen")
        seconds = statistics.median(after - before for before, after in pairwise(marks[1:]))
        if not self.taken:
            return {"seconds": seconds}
        first, last = (
            min(self.taken, key=lambda one: abs(one[0] - mark))[1] for mark in (marks[1], marks[-1])
        )
        return {"seconds": seconds, "bytes": (last - first) / (len(marks) - 2)}


def _loopback_bytes() -> int:
    lines = Path("/proc/net/dev").read_text().splitlines()
    return next(int(line.split(":")[1].split()[0]) for line in lines if line.strip().startswith("lo:"))


@contextmanager
def metered() -> Iterator[Meter]:
    """A meter that runs meanwhile; it sees nothing where the loopback is shared with others."""
    meter = Meter()
    watching = threading.Thread(target=meter.watch)
    if has_own_network():
        watching.start()
    try:
        yield meter
    finally:
        meter.end()
        if watching.ident is not None:
            watching.join()


def simulated(sites: int) -> str:
    """The name of that side."""
    return f"Flower simulation, {sites} sites"


def simulation(sites: int, hidden: int, rounds: int) -> Side:
    """Flower's simulation: nothing is durable, and all is on one machine."""
    return _scripted(simulated(sites), "flower", "flower_simulation.py", sites, hidden, rounds)


def nvflare(sites: int, hidden: int, rounds: int) -> Side:
    """NVFlare's simulator."""
    return _scripted(
        f"NVFlare simulator, {sites} sites", "nvflare", "nvflare_simulation.py", sites, hidden, rounds
    )


def _scripted(name: str, peer: str, script: str, sites: int, hidden: int, rounds: int) -> Side:
    async def work() -> Mapping[str, float]:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            env, marks = _environment(Path(folder), sites, hidden, rounds)
            words = [_program(peer, "python"), str(HERE / script), str(Path(folder) / "work")]
            with metered() as meter:
                async with _process(words, env, Path(folder) / "log") as process:
                    await _enough(marks, rounds, process)
            return meter.per_round(_read(marks))

    return Side(name=name, work=work)


def deployment(sites: int, hidden: int, rounds: int) -> Side:
    """Flower as it is deployed: a SuperLink with its database, and a SuperNode for each site."""

    async def work() -> Mapping[str, float]:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder_name:
            folder = Path(folder_name)
            env, marks = _environment(folder, sites, hidden, rounds)
            link = f"127.0.0.1:{free_port()}"
            (folder / ".flwr").mkdir()
            settings = f'[superlink]\ndefault = "net"\n[superlink.net]\naddress = "{link}"\ninsecure = true\n'
            (folder / ".flwr" / "config.toml").write_text(settings)
            with metered() as meter:
                async with _flower(link, sites, env, folder) as superlink:
                    await _submitted(env, folder)
                    await _enough(marks, rounds, superlink)
            return meter.per_round(_read(marks))

    return Side(name=f"Flower deployment, {sites} sites", work=work, durability="SQLite of the SuperLink")


@asynccontextmanager
async def _flower(
    link: str, sites: int, env: Mapping[str, str], folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    host, _, port = link.rpartition(":")
    words = ["--insecure", "--database", str(folder / "link.db"), "--host", host, "--port", port]
    words += ["--disable-runtime-dependency-installation"]
    async with _process(
        [_program("flower", "flower-superlink"), *words], env, folder / "link.log"
    ) as superlink:
        nodes = [
            _process(
                [
                    _program("flower", "flower-supernode"),
                    *("--insecure", "--superlink", link, "--port", str(free_port())),
                    *("--node-config", f"partition-id={number} num-partitions={sites}"),
                ],
                env,
                folder / f"node-{number}.log",
            )
            for number in range(sites)
        ]
        for node in nodes:
            await node.__aenter__()
        try:
            yield superlink
        finally:
            for node in nodes:
                await node.__aexit__(None, None, None)


async def _submitted(env: Mapping[str, str], folder: Path) -> None:
    """Hands the app to the SuperLink, again and again until it is up."""
    words = [_program("flower", "flwr"), "run", str(HERE), "net", "--format", "json"]
    said = b""
    async with asyncio.timeout(PEER_LIMIT_S):
        for _ in range(40):
            process = await asyncio.create_subprocess_exec(
                *words, env=env, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
            )
            said, _ = await process.communicate()
            if b'"success": true' in said:
                return
            await asyncio.sleep(3)
    raise Failed(said.decode(errors="replace").strip()[-300:] or "the SuperLink takes no app")


def _environment(folder: Path, sites: int, hidden: int, rounds: int) -> tuple[dict[str, str], Path]:
    marks = folder / "marks"
    return {
        **environment(),
        **ONE_THREAD,
        "PYTHONPATH": str(HERE),
        "HOME": str(folder),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FEDERATED_SITES": str(sites),
        "FEDERATED_ROUNDS": str(rounds),
        "FEDERATED_HIDDEN": str(hidden),
        "FEDERATED_MARKS": str(marks),
    }, marks


def _program(peer: str, name: str) -> str:
    path = cache() / peer / "bin" / name
    if not path.exists():
        raise Missing(f"{peer} is not installed: python -m bench federated --install-peers")
    return str(path)


@asynccontextmanager
async def _process(
    words: Sequence[str], env: Mapping[str, str], log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that ends with everything that it has started, and with all others of its side."""
    programs = f"{Path(words[0]).parent}{os.pathsep}{env.get('PATH', os.defpath)}"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *words,
            env={**env, "PATH": programs},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        _end_all(env)
        await process.wait()


def _end_all(env: Mapping[str, str]) -> None:
    """Ends all processes of a side, also in sessions of their own: their environment names its folder."""
    mark = f"FEDERATED_MARKS={env['FEDERATED_MARKS']}".encode()
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in path.joinpath("environ").read_bytes().split(b"\0"):
                os.kill(int(path.name), signal.SIGKILL)


async def _enough(marks: Path, rounds: int, process: asyncio.subprocess.Process) -> None:
    """Waits until all rounds are marked, or the process has ended."""
    async with asyncio.timeout(PEER_LIMIT_S):
        while len(_read(marks)) < rounds and process.returncode is None:
            await asyncio.sleep(0.1)


def _read(marks: Path) -> list[float]:
    return [float(line) for line in marks.read_text().split()] if marks.exists() else []
