"""What the faults share: figures, commands as processes, servers by hand, graphs that leave traces."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from perdure import daemon, server
from perdure.client import GraphClient, connect
from perdure.server.probe import serves
from perdure.settings import Settings
from tests.support import ROOT
from tests.support.cli import Done, environment, finished, start
from tests.support.waiting import wait_until


@dataclass
class Figures:
    """What a scenario found: facts, and the bars that it missed."""

    facts: dict[str, Any] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def fact(self, name: str, value: Any) -> None:
        self.facts[name] = round(value, 2) if isinstance(value, float) else value

    def must(self, holds: bool, what: str) -> None:
        if not holds:
            self.missed.append(what)

    def lines(self) -> list[str]:
        width = max(map(len, self.facts), default=0)
        return [
            *(f"  {name.ljust(width)}  {value}" for name, value in self.facts.items()),
            *(f"  MISSED: {what}" for what in self.missed),
        ]


def perdure(home: Path, *words: str, seconds: float = 90.0, preexec: Any = None, **env: str) -> Done:
    """Runs the command line. Its folder is part of what makes two commands alike."""
    return finished(start(ROOT, environment(home, **env), words, preexec=preexec), seconds)


@asynccontextmanager
async def client_of(home: Path, **env: str) -> AsyncIterator[GraphClient]:
    """A client in this process: of the embedded server of `home`, or of what `env` says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TEMPORAL_ADDRESS", raising=False)
        patch.setenv("TEMPORAL_CONFIG_FILE", str(home / "no-profiles.toml"))
        for name, value in env.items():
            patch.setenv(name, value)
        client = await connect(Settings(home=home))
    try:
        yield client
    finally:
        client.close()


@contextmanager
def server_by_hand(folder: Path, port: int = 0) -> Iterator[str]:
    """A `temporal server start-dev` that Perdure knows nothing of; gives its address."""
    port = port or daemon.free_port()
    attributes = ("PerdureGraph", "PerdureStatus")
    process = subprocess.Popen(
        [
            *(str(server.find()), "server", "start-dev", "--headless", "--log-level", "never"),
            *("--ip", "127.0.0.1", "--port", str(port), "--db-filename", "hand.db"),
            *(word for name in attributes for word in ("--search-attribute", f"{name}=Keyword")),
        ],
        cwd=folder,
        env={},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"127.0.0.1:{port}"
    try:
        wait_until(lambda: serves(address), "the server serves")
        yield address
    finally:
        process.kill()
        process.wait()


# ---- graphs that leave traces ----------------------------------------------------------------------


def chain(journal: Path, length: int, seconds: float) -> dict[str, Any]:
    """A graph of nodes n0, n1, … one after the other, each of which writes itself down and takes a while."""
    nodes: dict[str, Any] = {
        f"n{index}": {
            "agent": "journalAgent",
            "params": {"journal": str(journal), "seconds": seconds},
            "inputs": {"before": f":n{index - 1}"} if index else {},
        }
        for index in range(length)
    }
    nodes[f"n{length - 1}"]["isResult"] = True
    return {"version": 0.5, "nodes": nodes}


def expected(length: int) -> dict[str, Any]:
    """The results of `chain`."""
    return {f"n{length - 1}": {"texts": [f"n{index}" for index in range(length)]}}


def write_graph(folder: Path, graph: Mapping[str, Any], name: str = "graph") -> str:
    """The path of a file with the graph."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps(graph))
    return str(path)


async def results_of(client: GraphClient, ids: list[str], seconds: float) -> dict[str, Any]:
    """The results of the runs that end within the time, by id; a string for what went wrong with others."""

    async def one(id: str) -> Any:
        try:
            async with asyncio.timeout(seconds):
                return (await client.get(id).result()).results
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    return dict(zip(ids, await asyncio.gather(*map(one, ids)), strict=True))
