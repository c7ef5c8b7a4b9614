"""No command writes a character that acts, and no text of a graph, an agent or a stranger begins a line.

Every command meets the same text in ids, values, errors, questions, the console and logs. What it writes is
compared as bytes: text mode would hide a carriage return.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from perdure import server
from perdure.cli.main import COMMANDS
from perdure.settings import Settings
from tests.support.alphabet import ACTING, acting
from tests.support.cli import environment, lacks_program
from tests.support.forked import started
from tests.support.waiting import wait_until

FORGED = "FORGED"
TEXT = "".join(char for char in ACTING if char != "\0" and not "\ud800" <= char <= "\udfff")
EVIL = (
    "a\x1b[31m\x1b]8;;http://evil.example\x07[link](http://evil.example)|`"
    f"\n{FORGED}  completed\r{FORGED}\x85{FORGED}\u2028{FORGED}\n{FORGED}: # heading\t{TEXT}"
)
RUN = uuid.uuid4().hex[:8]

AGENTS = f"""\
import logging
from perdure import AgentContext, agent
from perdure.errors import AgentError

EVIL = {EVIL!a}


@agent("speaker", description=EVIL)
async def speaker(context: AgentContext) -> dict:
    logging.getLogger("perdure").error(EVIL)
    logging.getLogger("temporalio.activity").warning("%s", EVIL)
    context.log(EVIL.replace({FORGED!r}, "said"))  # the console is many lines, as in GraphAI
    await context.emit(EVIL.replace({FORGED!r}, "said"))
    return {{"text": EVIL, EVIL: [EVIL]}}


@agent("failing")
def failing() -> None:
    raise AgentError(EVIL)


@agent("bug")
def bug() -> None:
    raise KeyError(EVIL)
"""

GRAPH = {
    "nodes": {
        EVIL: {"value": EVIL},
        f"{EVIL}2": {"agent": "speaker", "console": True, "isResult": True},
        f"{EVIL}3": {"agent": "failing", "retry": 1},
        "bug": {"agent": "bug"},
        "plain": {"agent": "copyAgent", "inputs": {"x": EVIL, EVIL: EVIL}, "isResult": True, "console": True},
        "map": {
            "agent": "mapAgent",
            "inputs": {"rows": [EVIL]},
            "graph": {"nodes": {EVIL: {"agent": "failing"}}},
        },
    }
}
ASKING = {"nodes": {EVIL: {"agent": "textInputAgent", "params": {"message": EVIL}, "isResult": True}}}
WRONG = {
    "nodes": {EVIL: {"agent": EVIL, EVIL: EVIL, "inputs": {"x": f":{EVIL}", "y": ":missing"}}, "b": EVIL}
}


@dataclass
class Written:
    """What the commands wrote, by their words."""

    folder: Path
    env: dict[str, str]
    seen: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def __call__(self, *words: str) -> bytes:
        out, err = started(self.folder, self.env, words).communicate(timeout=90)
        self.seen[" ".join(words)] = out + b"\n" + err
        return out


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    """All commands, in an order in which they have something to show."""
    if lacks_program():
        pytest.skip(lacks_program())
    folder = tmp_path_factory.mktemp("alphabet")
    home = folder / "home"
    for name, graph in {"graph.json": GRAPH, "ask.json": ASKING, "wrong.json": WRONG}.items():
        (folder / name).write_text(json.dumps(graph))
    (folder / "evil.py").write_text(AGENTS)
    (folder / "rows.jsonl").write_text(json.dumps({EVIL: EVIL}) + "\n")
    call = Written(folder, environment(home, PERDURE_LOCAL_MODEL="off"))
    try:
        _before_a_server(call)
        _with_runs(call)
        _with_a_worker(call)
        _with_a_server(call)
        call("server", "stop")
        yield call.seen
    finally:
        server.stop(Settings(home=home))


def _before_a_server(call: Written) -> None:
    for words in (
        *(["check", name] for name in ("graph.json", "wrong.json")),
        *(["check", name, "--json"] for name in ("graph.json", "wrong.json")),
        ["run", "wrong.json"],
        ["agents", "--agents", "evil.py"],
        ["agents", "--agents", "evil.py", "speaker"],
        ["agents", "--agents", "evil.py", "--json"],
        ["agents", EVIL],
        ["schema"],
        ["examples"],
        ["examples", EVIL],
        ["init", f"folder-{EVIL}".replace("/", "")],
        ["models", "status"],
        ["sbom"],
        ["codec", "keys"],
        ["codec", "keys", "--use", EVIL],
        ["codec", "server", "--host", EVIL],
        ["gateway", "http", "--routes", "wrong.json"],
        ["edge", "--hub", EVIL],
        ["edge", "--hub", "https://hub", "--token-file", "t", "--name", EVIL],
        ["edge", "status"],
        ["policy", "check", "wrong.json"],
        ["policy", "explain", "graph.json", "--policy", "wrong.json"],
        [EVIL],
        ["list", EVIL],
        ["show", "graph.json", "--format", EVIL],
        ["run", EVIL],
        ["run", "graph.json", "-i", f"{EVIL}={EVIL}"],
        ["run", "graph.json", "--agents", EVIL],
        ["run", "graph.json", "--agents", "evil.py", "--in-memory", "--all"],
        ["run", "graph.json", "--agents", "evil.py", "--in-memory", "-v"],
        *(["show", "graph.json", "--format", kind] for kind in ("mermaid", "json", "yaml", "svg", "html")),
    ):
        call(*words)


def _with_runs(call: Written) -> None:
    call("run", "graph.json", "--agents", "evil.py", "--id", RUN)
    for words in (
        ["run", "graph.json", "--agents", "evil.py", "-v"],
        ["run", "graph.json", "--agents", "evil.py", "--json", "--id", f"{RUN}-{EVIL}"],
        *(["status", RUN, *more] for more in ([], ["--json"])),
        *(["result", RUN, *more] for more in ([], ["--all"], ["--json"], [EVIL], [f"{EVIL}2.text"])),
        *(["show", RUN, "--format", kind] for kind in ("mermaid", "json", "yaml", "svg", "html")),
        *([name, *more] for name in ("list", "pending") for more in ([], ["--json"])),
        *([name, RUN, *more] for name in ("history", "logs") for more in ([], ["--json"])),
        ["history", RUN, EVIL],
        ["explain", RUN, EVIL],
        *(["rerun", RUN, "--set", f"{EVIL}={EVIL}", "--dry-run", *more] for more in ([], ["--json"])),
        ["rerun", RUN, "--agents", "evil.py", "--failed", "--id", f"{RUN}-again"],
        ["rerun", RUN, "--from", f"{EVIL}9"],
        ["rerun", RUN, "--with", f"{EVIL}.{EVIL}={EVIL}"],
        *(["diff", RUN, f"{RUN}-again", *more] for more in ([], ["--json"])),
        *(["diff", "graph.json", "wrong.json", *more] for more in ([], ["--json"])),
        ["replay-check", "--query", "ExecutionStatus='Failed'"],
        ["replay-check", "--query", EVIL],
        ["replay", RUN, "--with", f"speaker.{EVIL}={EVIL}", "--agents", "evil.py"],
        ["audit", RUN],
        ["report", RUN],
        ["report", RUN, "--html"],
        ["report", RUN, "--unit", EVIL],
        ["open", RUN, "--print"],
        ["send", RUN, EVIL, EVIL, "--key", EVIL],
        *(
            [name, EVIL]
            for name in (
                "status",
                "result",
                "show",
                "history",
                "logs",
                "rerun",
                "replay-check",
                "cancel",
                "terminate",
            )
        ),
        ["map", "graph.json", "--agents", "evil.py", "--rows", "rows.jsonl", "--out", "out.jsonl"],
        ["store", "info"],
        ["store", "gc"],
        ["doctor"],
        ["doctor", "--json"],
        ["server", "status"],
    ):
        call(*words)


def _with_a_worker(call: Written) -> None:
    """Workers log what their agents say; a question is shown, answered, and its run ended."""
    for name, words in {"worker": ["worker"], "dev": ["dev"], "worker -v": ["worker", "-v"]}.items():
        log = call.folder / f"{name}.log"
        queue = f"q-{name}".replace(" ", "")
        with log.open("wb") as stream:
            command = [*words, "--agents", "evil.py", "--queue", queue]
            worker = started(call.folder, call.env, command, stdout=stream, stderr=stream)
            try:
                id = (
                    call("run", "graph.json", "--agents", "evil.py", "--queue", queue, "--detach")
                    .decode()
                    .strip()
                )
                call("result", id)
                asked = [f"{RUN}-{queue}-{number}" for number in range(3)]
                for one in asked:
                    call("run", "ask.json", "--queue", queue, "--detach", "--id", one)
                wait_until(lambda one=asked[0]: b"waits for an answer" in call("status", one), "the run asks")
                call("status", asked[0], "-v")
                if name == "worker":
                    _with_an_open_run(call, asked[0])
                call("pending")
                call("answer", asked[0], EVIL, EVIL)
                call("answer", asked[0], f"{EVIL} none", EVIL)
                call("cancel", asked[1])
                call("terminate", asked[2], "--reason", EVIL)
                call("list")
                call("status", asked[2])
                call("result", asked[0])
                call("result", asked[2])
            finally:
                worker.terminate()
                worker.wait()
        call.seen[name] = log.read_bytes()


def _with_an_open_run(call: Written, id: str) -> None:
    """What changes it, and says so; some name a node that it does not have."""
    call("pause", id, EVIL, "--as", EVIL, "--why", EVIL)
    call("status", id)
    call("resume", id, EVIL)
    call("patch", id, "--set", f"nodes.{EVIL}={EVIL}", "--dry-run")
    call("set", id, f"{EVIL}9={EVIL}")
    call("move", id, f"{EVIL}9", "--queue", EVIL)
    for name in ("skip", "retry"):
        call(name, id, f"{EVIL}9")


def _with_a_server(call: Written) -> None:
    """What serves pages and data says where, until it is ended."""
    for words in (["ui", "--no-open", "--port", "0"], ["serve", "--port", "0"]):
        log = call.folder / f"{words[0]}.log"
        with log.open("wb") as stream:
            serving = started(call.folder, call.env, words, stdout=stream, stderr=stream)
            try:
                wait_until(lambda log=log: b"http://" in log.read_bytes(), "it serves")
            finally:
                serving.terminate()
                serving.wait()
        call.seen[words[0]] = log.read_bytes()
        call(words[0], "--host", EVIL)


def test_every_command_was_called(written: dict[str, bytes]) -> None:
    assert set(COMMANDS) <= {words.partition(" ")[0] for words in written}


def test_the_text_was_written(written: dict[str, bytes]) -> None:
    """Not only that nothing acts: the text is there, where it is about the run."""
    for words in (
        "check wrong.json",
        "agents --agents evil.py speaker",
        f"status {RUN}",
        f"result {RUN}",
        "worker",
    ):
        assert FORGED.encode() in written[words], words


def test_nothing_acts(written: dict[str, bytes]) -> None:
    characters = {words: acting(output.decode()) for words, output in written.items()}
    assert {words: chars for words, chars in characters.items() if chars} == {}


def test_one_row_is_one_line(written: dict[str, bytes]) -> None:
    """Of logs with -v, which have tracebacks, further lines are indented by four."""
    characters = {
        words: [
            line
            for line in output.decode().split("\n")
            if line.strip().startswith(FORGED) and not ("-v" in words.split(" ") and line.startswith("    "))
        ]
        for words, output in written.items()
    }
    assert {words: lines for words, lines in characters.items() if lines} == {}
