"""python -m bench.versions: this version of Perdure next to an earlier one, in turns.

Each has its own process, server and worker. The earlier one is exported from git, and installed in an
environment of its own, with the same versions of all libraries: what differs is Perdure.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from bench import tables
from bench.harness import Comparison, Side, alternate, plain
from bench.peers import cache
from bench.processes import ROOT, Failed, Talker, environment

BOUND = 1.03
"""What this version may take of the time of the earlier one, beyond noise."""

PAIRS = 9
NEW, OLD = "this version", "earlier version"
SCRIPT = ROOT / "bench" / "peers" / "version.py"

EPILOG = """\
examples:
  python -m bench.versions --against HEAD~1                 everything: some ten minutes
  python -m bench.versions --against d8841e9 pure-map --pairs 15
  python -m bench.versions --against v0.1.0 memory-chain memory-fan memory-map

Processor time is the figure to rely on: other load hardly changes it. The ratio is that of the medians, with
the lowest and the highest of a single pair. The command exits with 1 where a run of a version fails.
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Runs that are compared: `runs` of the graph `shape(*arguments)` in each turn, which give `expect`."""

    title: str
    shape: str
    arguments: Sequence[Any]
    expect: Any
    runs: int
    work: str = "run"
    unit: str = "node"

    @property
    def size(self) -> int:
        """Units of work in a turn."""
        return self.runs * self.arguments[0]

    @property
    def request(self) -> Mapping[str, Any]:
        """What a side is asked."""
        arguments = {"shape": self.shape, "arguments": self.arguments}
        return {"work": self.work, **arguments, "expect": self.expect, "runs": self.runs}


def chain(size: int, agent: str, **more: Any) -> Case:
    """A chain of `size` nodes."""
    expect = {f"s{size}": {"n": size}}
    return Case(shape="chain", arguments=(size, agent), expect=expect, **more)


def fan(size: int, agent: str, collector: str, **more: Any) -> Case:
    """A fan of `size` nodes."""
    return Case(shape="fan", arguments=(size, agent, collector), expect={"all": {"n": size}}, **more)


def rows(size: int, agent: str, **more: Any) -> Case:
    """A map of `size` rows, a hundred of them at once."""
    expect = {"map": {"work": [{"n": row + 1} for row in range(size)]}}
    return Case(shape="rows", arguments=(size, agent, 100), expect=expect, unit="row", **more)


def cases(quick: bool = False) -> dict[str, Case]:
    """All comparisons by name; `quick` ones are tiny."""

    def sized(size: int) -> int:
        return 3 if quick else size

    memory = {"runs": 1 if quick else 5, "work": "memory"}
    return {
        "pure-chain": chain(sized(1000), "add", title="Chain of pure nodes", runs=8),
        "pure-fan": fan(sized(1000), "add", "count", title="Fan of pure nodes", runs=8),
        "pure-map": rows(sized(3000), "add", title="Map of a pure node", runs=4),
        "chain": chain(sized(100), "step", title="Chain of activities", runs=1),
        "fan": fan(sized(100), "step", "count", title="Fan of activities", runs=2),
        "map": rows(sized(1000), "step", title="Map of an activity", runs=1),
        "memory-chain": chain(sized(1000), "add", title="Chain in memory", **memory),
        "memory-fan": fan(sized(1000), "add", "count", title="Fan in memory", **memory),
        "memory-map": rows(sized(1000), "add", title="Map in memory", **memory),
    }


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of Perdure: its sources, and the interpreter of an environment with its libraries."""

    name: str
    tree: Path
    python: str

    async def start(self) -> Talker:
        """Starts the process that makes its runs."""
        return await Talker.start(
            [self.python, str(SCRIPT)], environment(PYTHONPATH=str(self.tree)), cwd=self.tree
        )


def current() -> Version:
    """This version, in the environment in which the command runs."""
    return Version(name=NEW, tree=ROOT, python=sys.executable)


def earlier(commit: str) -> Version:
    """The version of a commit, which is installed in the cache folder unless it is there.

    Raises Failed for a commit that this repository does not have, or that cannot be installed.
    """
    digest = _output("git", "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}").decode().strip()
    folder = cache() / "versions" / digest[:12]
    tree, python, ready = folder / "tree", folder / "venv" / "bin" / "python", folder / "ready"
    if not ready.exists():
        print(f"bench: installs {digest[:12]} in {folder}", file=sys.stderr)
        with tarfile.open(fileobj=io.BytesIO(_output("git", "archive", digest))) as archive:
            archive.extractall(tree, filter="data")
        same = folder / "constraints.txt"
        same.write_text(
            "".join(f"{one.name}=={one.version}\n" for one in distributions() if _is_library(one))
        )
        _output(sys.executable, "-m", "venv", str(folder / "venv"))
        words = ("-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", str(same))
        _output(str(python), *words, "-e", f"{tree}[server]")
        ready.touch()
    return Version(name=OLD, tree=tree, python=str(python))


def _is_library(distribution: Any) -> bool:
    return distribution.name not in ("perdure", "pip", "setuptools")


def _output(*words: str) -> bytes:
    """What a program writes to stdout. Raises Failed."""
    ended = subprocess.run(words, cwd=ROOT, capture_output=True)
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip()
        raise Failed(f"{' '.join(words[:3])} failed: {said[-500:] or 'no such commit'}")
    return ended.stdout


async def compare(versions: Sequence[Version], chosen: Mapping[str, Case], pairs: int) -> list[Comparison]:
    """Compares the first version with the second, and prints each comparison when it is done."""
    done: list[Comparison] = []
    async with AsyncExitStack() as stack:
        talkers: dict[str, Talker] = {}
        for version in versions:
            talkers[version.name] = await version.start()
            stack.push_async_callback(talkers[version.name].stop)
        for name, case in chosen.items():
            sides = [await _side(name, talker, case) for name, talker in talkers.items()]
            compared = Comparison(name=name, title=case.title, unit=case.unit, size=case.size)
            await alternate(compared, sides, pairs)
            compared.compare(NEW, OLD, BOUND, what="worker CPU", label="processor time")
            compared.compare(NEW, OLD)
            print(tables.text(plain(compared)), flush=True)
            done.append(compared)
    return done


async def _side(name: str, talker: Talker, case: Case) -> Side:
    about = talker.about if case.work == "memory" else await talker.ask(work="open")

    async def work() -> Mapping[str, float]:
        return await talker.ask(**case.request)

    return Side(name=name, work=work, processes={"worker": [about["worker"]]})


def main(argv: Sequence[str] | None = None) -> int:
    """Compares what the command line asks for; 1 where a side could not do its work."""
    args = _parser().parse_args(argv)
    known = cases(args.quick)
    unknown = [name for name in args.names if name not in known]
    if unknown:
        print(f"bench: no comparison {unknown[0]!r}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    try:
        versions = [current(), earlier(args.against)]
    except Failed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    chosen = {name: known[name] for name in args.names or known}
    done = asyncio.run(compare(versions, chosen, args.pairs or (1 if args.quick else PAIRS)))
    return int(any(series.error for compared in done for series in compared.series))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.versions",
        description="Measures this version of Perdure against an earlier one, in turns.",
        epilog=f"comparisons:\n  {'  '.join(cases())}\n\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="comparisons; all of them by default")
    parser.add_argument(
        "--against", required=True, metavar="COMMIT", help="the earlier version, from d8841e9 on"
    )
    parser.add_argument("--pairs", type=int, metavar="N", help=f"turns of each side; {PAIRS} by default")
    parser.add_argument(
        "--quick", action="store_true", help="tiny graphs and one pair: no numbers to rely on"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
