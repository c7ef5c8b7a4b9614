"""What `perdure edge` says of a device, and what it refuses to begin with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from perdure.cli.commands.edge import lines
from perdure.engine.inbox.events import ExternalEvent
from perdure.storage.outbox import Outbox, OutboxStatus
from tests.support.cli import Done

QUIET = OutboxStatus(
    waiting=0,
    waiting_bytes=0,
    limit_bytes=1_000,
    since=None,
    sent=0,
    refused=0,
    dropped=0,
    hub="",
    reached=None,
    failed=None,
    why="",
    refusals=(),
)
BUSY = OutboxStatus(
    waiting=3,
    waiting_bytes=312,
    limit_bytes=1_000,
    since=40.0,
    sent=1_200,
    refused=1,
    dropped=2,
    hub="https://hub",
    reached=35.0,
    failed=99.0,
    why="does not answer",
    refusals=("t a: no route\x1b[31m",),
)


def test_a_status_for_people() -> None:
    assert lines(QUIET, 100.0) == [
        "hub      none yet: perdure edge serve --hub URL --token-file FILE",
        "waiting  0 events (0 of 1,000 bytes)",
        "sent     0",
        "refused  0",
    ]
    shown = lines(BUSY, 100.0)
    assert shown[:4] == [
        "hub      https://hub: not reached, last 1 min 5 s ago: does not answer",
        "waiting  3 events (312 of 1,000 bytes), the oldest for 1 min 0 s",
        "sent     1,200",
        "refused  1",
    ]
    assert "\x1b" not in shown[4]
    assert shown[5] == "dropped  2: the outbox was full"


def test_the_commands_that_need_no_server(
    call: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERDURE_HOME", str(tmp_path))
    box = Outbox(tmp_path / "outbox.db", 100_000)
    box.put(ExternalEvent(topic="t", id="a"))
    box.settle([], [(box.waiting(0, 1, 1)[0].number, "no route")])
    status = json.loads(call("edge", "status", "--json").out)
    assert (status["refused"], status["refusals"]) == (1, ["t a: no route"])
    assert call("edge", "retry").out == "1 events wait again\n"
    assert box.status().waiting == 1


REFUSED: list[tuple[list[str], str]] = [
    ([], "--hub: the address of the hub's gateway is missing"),
    (["--hub", "hub:8400"], "--hub: the address of the hub's gateway is missing"),
    (["--hub", "https://hub"], "--token-file is missing"),
    (["--hub", "http://[::1]:8400"], "--token-file is missing"),
    (["--hub", "http://hub"], "or PERDURE_INSECURE=1 inside a network of your own"),
    (["--hub", "https://hub", "--json"], "--json is for perdure edge status"),
]


@pytest.mark.parametrize(("words", "finding"), REFUSED)
def test_what_is_refused(call: Callable[..., Done], words: list[str], finding: str) -> None:
    done = call("edge", "serve", *words)
    assert (done.code, finding in done.err) == (2, True), done.err


def test_a_hub_without_tls_is_allowed_by_a_variable(
    call: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERDURE_INSECURE", "1")
    assert "--token-file is missing" in call("edge", "serve", "--hub", "http://hub").err
