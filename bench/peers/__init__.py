"""The others: where they are installed, and how they are started.

They live in a folder of their own, so that what they need never meets what Perdure needs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.harness import Side
from bench.processes import ROOT, Failed, Talker, environment

HERE = Path(__file__).parent
GRAPHAI = "graphai@2.0.18"


def cache() -> Path:
    """Where the peers are installed: PERDURE_BENCH_CACHE, else a folder in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("PERDURE_BENCH_CACHE") or Path(base) / "perdure-bench")


def python() -> str:
    """The interpreter that has the peers in Python, as far as they are installed."""
    own = cache() / "venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def install() -> None:
    """Installs the peers in Python with pip, GraphAI with npm. What fails is reported and left out."""
    venv, npm = cache() / "venv", cache() / "npm"
    npm.mkdir(parents=True, exist_ok=True)
    for words in (
        [sys.executable, "-m", "venv", str(venv)],
        [str(venv / "bin" / "pip"), "install", "-q", "-r", str(ROOT / "bench" / "requirements.txt")],
        ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(npm), GRAPHAI],
    ):
        try:
            subprocess.run(words, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"bench: {error}", file=sys.stderr)


async def graphai() -> Talker:
    """GraphAI on node."""
    return await Talker.start(["node", str(HERE / "graphai.mjs"), str(cache() / "npm")], environment())


async def langgraph(folder: Path) -> Talker:
    """LangGraph on a SQLite file in the folder."""
    words = [python(), "-m", "bench.peers.langgraph_peer", str(folder / "langgraph.db")]
    return await Talker.start(words, environment())


async def dbos(url: str) -> Talker:
    """DBOS on the database of the URL."""
    return await Talker.start([python(), "-m", "bench.peers.dbos_peer", url], environment())


async def inside() -> Talker:
    """Perdure without a server, in a process of its own."""
    return await Talker.start([sys.executable, "-m", "bench.peers.inside"], environment())


def side(name: str, talker: Talker, expect: Any = None, /, **request: Any) -> Side:
    """A side that is asked over and over for the same work."""

    async def work() -> Mapping[str, float]:
        answer = await talker.ask(**request)
        if expect is not None and answer["result"] != expect:
            raise Failed(f"gave {answer['result']} instead of {expect}")
        return {"seconds": answer["seconds"]}

    return Side(
        name=name,
        work=work,
        durability=talker.about["durability"],
        versions=", ".join(f"{name} {version}" for name, version in talker.about["versions"].items()),
        processes={"worker": [talker.process.pid]},
    )
