"""What a command costs before and around the work itself.

Importing the package, `perdure --help`, `perdure check`, and `perdure run` of the hello example with
the embedded server up, and cold (the server starts with it).
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping

from bench.harness import Comparison, Options, Side, alternate
from bench.processes import ROOT, Failed, environment

HELLO = str(ROOT / "examples" / "hello" / "graph.yaml")
NOTHING = "python -c pass"
COMMANDS = {
    NOTHING: ("-c", "pass"),
    "import perdure": ("-c", "import perdure"),
    "perdure --help": ("-m", "perdure", "--help"),
    "perdure check": ("-m", "perdure", "check", HELLO),
    "perdure run": ("-m", "perdure", "run", HELLO),
}
COLD = "perdure run, cold"
STOP = ("-m", "perdure", "server", "stop")


async def startup(options: Options) -> Comparison:
    """The commands of COMMANDS, and a run that starts the server."""
    compared = Comparison(name="startup", title="Commands", unit="command", size=1)
    with tempfile.TemporaryDirectory(prefix="perdure-bench-", ignore_cleanup_errors=True) as home:
        env = environment(PERDURE_HOME=home)
        sides = [Side(name=name, work=_command(words, env)) for name, words in COMMANDS.items()]
        cold = Side(name=COLD, work=_command(COMMANDS["perdure run"], env, before=STOP))
        try:
            await alternate(compared, [*sides, cold], options.pairs)
        finally:
            await _run(STOP, env)
    for name in (*list(COMMANDS)[1:], COLD):
        compared.compare(name, NOTHING)
    return compared


def _command(
    words: tuple[str, ...], env: Mapping[str, str], before: tuple[str, ...] | None = None
) -> Callable[[], Awaitable[Mapping[str, float]]]:
    async def work() -> Mapping[str, float]:
        if before is not None:
            await _run(before, env)
        begin = time.perf_counter()
        await _run(words, env)
        return {"seconds": time.perf_counter() - begin}

    return work


async def _run(words: tuple[str, ...], env: Mapping[str, str]) -> None:
    nowhere, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, env=env, stdout=nowhere, stderr=pipe
    )
    _, said = await process.communicate()
    if process.returncode:
        raise Failed(said.decode(errors="replace").strip()[-500:])


COMPARISONS = {"startup": startup}
