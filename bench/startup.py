"""python -m bench.startup: what a command costs before and around the work itself.

Medians of several runs: importing the package, `perdure --help`, `perdure check`, and `perdure run`
of the hello example with the embedded server up, and cold (the server starts with it).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
HELLO = str(ROOT / "examples" / "hello" / "graph.yaml")
TIMES = 7


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="perdure-") as home:
        environment = {**os.environ, "PERDURE_HOME": home, "PYTHONPATH": str(ROOT)}
        environment.pop("TEMPORAL_ADDRESS", None)

        def command(*words: str) -> Callable[[], None]:
            return lambda: run([sys.executable, *words], environment)

        def stop() -> None:
            run([sys.executable, "-m", "perdure", "server", "stop"], environment)

        nothing = median(command("-c", "pass"))
        rows = {
            "python -c pass": nothing,
            "import perdure": median(command("-c", "import perdure")),
            "perdure --help": median(command("-m", "perdure", "--help")),
            "perdure check hello": median(command("-m", "perdure", "check", HELLO)),
            "perdure run hello, cold": median(command("-m", "perdure", "run", HELLO), times=3, before=stop),
            "perdure run hello, server up": median(command("-m", "perdure", "run", HELLO)),
        }
        stop()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, medians of {TIMES} (cold: 3)")
    for name, seconds in rows.items():
        print(f"{name:30} {seconds * 1000:8.0f} ms   {seconds / nothing:6.1f} x an empty Python")


def median(work: Callable[[], None], times: int = TIMES, before: Callable[[], None] | None = None) -> float:
    taken: list[float] = []
    for _ in range(times):
        if before is not None:
            before()
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def run(words: list[str], environment: dict[str, str]) -> None:
    subprocess.run(words, env=environment, check=True, capture_output=True)


if __name__ == "__main__":
    main()
