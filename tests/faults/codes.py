"""Commands by the hundred, with readers that leave early and without a terminal: the right code, no crash."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from perdure import server
from perdure.settings import Settings
from tests.faults.ground import Figures, client_of
from tests.support.cli import environment
from tests.support.forked import started
from tests.support.processes import Crew
from tests.support.waiting import until

CONCURRENT_COUNT = 3
"""Commands at a time."""

Reader = Literal["all", "a line", "nothing", "closed"]
READERS: tuple[Reader, ...] = ("all", "a line", "nothing", "closed")

GOOD = "version: 0.5\nnodes:\n  a: {agent: copyAgent, inputs: {x: 1}, isResult: true}\n"
BAD = "version: 0.5\nnodes:\n  a: {agent: copyAgent, inputs: {x: ':b'}}\n"
FAILING = "version: 0.5\nnodes:\n  a: {agent: popAgent, inputs: {}, isResult: true}\n"
ASKING = "version: 0.5\nnodes:\n  who: {agent: textInputAgent, params: {message: Name?}, isResult: true}\n"


@dataclass(frozen=True)
class Call:
    """A command, the exit code it must have, and whether it says anything on stdout."""

    words: str
    code: int
    says: bool = True


CALLS = (
    Call("run good.yaml", 0),
    Call("run good.yaml --json", 0),
    Call("run good.yaml --id same", 0),
    Call("run good.yaml --in-memory", 0),
    Call("run good.yaml --detach", 0),
    Call("run failing.yaml", 1, says=False),
    Call("run failing.yaml --json", 1),
    Call("run bad.yaml", 2, says=False),
    Call("run nowhere.yaml", 2, says=False),
    Call("run good.yaml -i z=1", 2, says=False),
    Call("run bad.yaml --id same", 2, says=False),
    Call("check good.yaml", 0),
    Call("check good.yaml bad.yaml", 2),
    Call("check bad.yaml --json", 2),
    Call("status done", 0),
    Call("status done --json", 0),
    Call("status missing", 2, says=False),
    Call("result done", 0),
    Call("result failed", 1, says=False),
    Call("result missing", 2, says=False),
    Call("list", 0),
    Call("list --limit 3 --json", 0),
    Call("list --limit 0", 2, says=False),
    Call("agents", 0),
    Call("agents sleeperAgent --json", 0),
    Call("agents sleperAgent", 2, says=False),
    Call("schema", 0),
    Call("schema extra", 2, says=False),
    Call("answer asks who -- again", 2, says=False),
    Call("answer asks missing Anna", 2, says=False),
    Call("answer missing who Anna", 2, says=False),
    Call("--version", 0),
    Call("nonsense", 2, says=False),
)


async def show(figures: Figures, folder: Path, *, short: bool) -> None:
    """500 calls, 40 where short, of 33 kinds and 4 kinds of readers."""
    home = folder / "home"
    for name, text in (("good", GOOD), ("bad", BAD), ("failing", FAILING), ("asking", ASKING)):
        (folder / f"{name}.yaml").write_text(text)
    crew = Crew(home)
    codes: Counter[str] = Counter()
    turns = asyncio.Semaphore(CONCURRENT_COUNT)
    try:
        async with client_of(home):
            crew.worker()
            await until(lambda: "worker ready" in crew.log.read_text(), "the worker is ready", 60)
            await _prepare(figures, home, folder)

            async def one(number: int) -> None:
                call = CALLS[number % len(CALLS)]
                reader = READERS[(number // len(CALLS) + number) % len(READERS)]
                async with turns:
                    is_right = await asyncio.to_thread(_call, figures, home, folder, call, reader)
                codes["right" if is_right else "wrong"] += 1

            await asyncio.gather(*(one(number) for number in range(40 if short else 500)))
    finally:
        crew.kill_all()
        await asyncio.to_thread(server.stop, Settings(home=home))
    figures.fact("calls with the right code", f"{codes['right']} of {codes.total()}")


async def _prepare(figures: Figures, home: Path, folder: Path) -> None:
    """Runs to ask about: one that is done, one that has failed, one that asks and was answered."""
    for words, code in (
        ("run good.yaml --id done", 0),
        ("run good.yaml --id same", 0),
        ("run failing.yaml --id failed", 1),
        ("run asking.yaml --id asks --detach", 0),
    ):
        await asyncio.to_thread(_call, figures, home, folder, Call(words, code, says=code == 0), "all")
    answer, right = Call("answer asks who Anna", 0, says=False), False
    for _ in range(50):
        right = await asyncio.to_thread(_call, Figures(), home, folder, answer, "all")
        if right:
            break
        await asyncio.sleep(0.2)  # it does not ask yet
    figures.must(right, "the question can be answered")


def _call(figures: Figures, home: Path, folder: Path, call: Call, reader: Reader) -> bool:
    process = started(
        folder,
        environment(home),
        call.words.split(),
        stdout="closed" if reader == "closed" else subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    out = ""
    if process.stdout is not None:
        out = {"a line": process.stdout.readline, "nothing": str}.get(reader, process.stdout.read)()
        process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    code = process.wait(90)
    said = bool(out) == call.says or reader in ("nothing", "closed")
    whole = not any(word in err for word in ("Traceback", "BrokenPipe", "is a bug", "Fatal Python"))
    right = code == call.code and said and whole
    figures.must(right, f"{call.words} ({reader}): code {code}, {out[:200]!r}, {err[-400:]!r}")
    return right
