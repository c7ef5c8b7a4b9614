"""No server, or one without the namespace: commands say so at once, workers wait and recover."""

from __future__ import annotations

import asyncio
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from perdure import daemon, server
from perdure.errors import ConnectionFailed
from tests.faults.ground import (
    Figures,
    chain,
    client_of,
    expected,
    perdure,
    results_of,
    server_by_hand,
    write_graph,
)
from tests.support.cli import PATH
from tests.support.processes import Crew

SOON = 60.0
RETURN = 60.0
"""Seconds in which a command must have given up, and in which a worker must be back."""

VERBS = ("run {graph}", "run {graph} --detach", "list", "status x", "result x", "answer x y z", "cancel x")


async def show(figures: Figures, folder: Path, *, short: bool) -> None:
    """Away for 60 s, 3 s where short; the namespace is missing for as long."""
    seconds, port = (3.0 if short else 60.0), daemon.free_port()
    address, graph = f"127.0.0.1:{port}", write_graph(folder, chain(folder / "journal", 1, 0.1))
    verbs = VERBS[:2] if short else VERBS
    _commands(figures, folder, graph, verbs, "no server", "no Temporal server answers", address)
    crew = Crew(folder / "worker", env={"TEMPORAL_ADDRESS": address, "PATH": PATH})
    lost = Crew(folder / "lost", env={**crew.env, "TEMPORAL_NAMESPACE": "later"})
    try:
        worker, stray = crew.worker(), lost.worker()
        await _quiet(figures, crew, "server not there yet", seconds)
        with server_by_hand(folder, port):
            await _serves(figures, folder, address, "first")
            _commands(figures, folder, graph, verbs, "no namespace", "is not found", address)
            await _quiet(figures, lost, "namespace not there yet", seconds)
            _make_namespace(address)
            await _serves(figures, folder, address, "later", namespace="later")
        await _quiet(figures, crew, "server gone", seconds)
        with server_by_hand(folder, port):
            await _serves(figures, folder, address, "second")
        for process in (worker, stray):
            figures.must(process.poll() is None, f"the worker lives: {crew.log.read_text()}")
            process.terminate()
            figures.must(await asyncio.to_thread(process.wait, 30) == 0, "a signal ends it")
    finally:
        crew.kill_all()
        lost.kill_all()


def _commands(
    figures: Figures, folder: Path, graph: str, verbs: tuple[str, ...], name: str, words: str, address: str
) -> None:
    slowest = 0.0
    for verb in verbs:
        env = {"TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": "nowhere"}
        done = perdure(folder / "home", *verb.format(graph=graph).split(), **env)
        slowest = max(slowest, done.seconds)
        figures.must(done.code == 3, f"{name}: {verb}: {done}")
        cured = "TEMPORAL_ADDRESS" in done.err or "TEMPORAL_NAMESPACE" in done.err
        figures.must(
            words in done.err and cured and "Traceback" not in done.err, f"{name}: {verb}: {done.err}"
        )
    figures.fact(f"{name}: seconds until commands gave up", slowest)
    figures.must(slowest <= SOON, f"{name}: {slowest:.1f} s")


async def _quiet(figures: Figures, crew: Crew, name: str, seconds: float) -> None:
    """The worker neither floods its log nor its processor."""
    lines, used = _lines(crew), _used(crew)
    await asyncio.sleep(seconds)
    logged, used = _lines(crew) - lines, _used(crew) - used
    figures.fact(f"{name}: lines in the worker's log", f"{logged} in {seconds:g} s")
    figures.fact(f"{name}: processor", f"{used / seconds:.0%}")
    # A message may take three lines; the start itself takes processor time.
    figures.must(logged <= 4 + seconds / 5, f"{name}: {crew.log.read_text()}")
    figures.must(used < 3.0 + 0.1 * seconds, f"{name}: no busy loop, {used:.1f} s")


async def _serves(
    figures: Figures, folder: Path, address: str, name: str, namespace: str = "default"
) -> None:
    """A run ends soon, because the worker is there again."""
    began, started = time.monotonic(), set[str]()
    env = {"TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": namespace}
    async with client_of(folder, **env) as client:
        while name not in started:  # a new namespace takes the server a while
            with suppress(ConnectionFailed):
                started.add((await client.start(chain(folder / "journal", 1, 0.1), id=name)).id)
        results = await results_of(client, [name], 60)
    figures.fact(f"{name} run: seconds until it ended", time.monotonic() - began)
    figures.must(results == {name: expected(1)}, str(results))
    figures.must(time.monotonic() - began <= RETURN, f"{name}: after {time.monotonic() - began:.1f} s")


def _make_namespace(address: str) -> None:
    words = ("operator", "namespace", "create", "-n", "later", "--address", address)
    subprocess.run([str(server.find()), *words], env={}, check=True, capture_output=True)


def _lines(crew: Crew) -> int:
    return len(crew.log.read_text().splitlines())


def _used(crew: Crew) -> float:
    """Seconds of processor time of its worker."""
    fields = Path(f"/proc/{crew.started[0].pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
