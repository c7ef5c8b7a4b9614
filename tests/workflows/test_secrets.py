"""Secrets by name in durable runs: no form of a value is in the history, the database, the store or a log."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.worker import WorkerOptions, build_worker
from tests.support.canary import CANARY, mine, parrot, policy_with_canary, traces_in
from tests.support.servers import serve

pytestmark = pytest.mark.anyio

QUEUE = "secrets"


def graph(url: str) -> dict[str, Any]:
    sent = {"headers": {"Authorization": "secret:crm"}}
    big = {"agent": "stringTemplateAgent", "params": {"template": "x" * 70_000}, "inputs": {"a": ":ok"}}
    return {
        "nodes": {
            "ok": {"agent": "fetchAgent", "inputs": {"url": f"{url}/", **sent}},
            "broken": {
                "agent": "fetchAgent",
                "inputs": {"url": f"{url}/broken", **sent},
                "params": {"throwError": True},
                "fallback": "broken",
            },
            "own": {"agent": "mine"},
            "fails": {"agent": "mine", "inputs": {"fail": True}, "retry": 1, "fallback": "failed"},
            "big": big,
            "all": {
                "agent": "copyAgent",
                "inputs": {"ok": ":ok", "own": ":own", "f": ":fails", "b": ":broken"},
                "isResult": True,
            },
        }
    }


async def test_a_value_is_kept_nowhere(
    client: GraphClient, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, "temporalio")
    with serve(parrot) as server:
        settings = replace(
            client.settings,
            policy=policy_with_canary(tmp_path, server),
            allow_hosts=(server.host,),
            queue=QUEUE,
            transient_attempts=1,
        )
        options = WorkerOptions(agents={**catalog(), **agents_by_name([mine])}, settings=settings)
        async with build_worker(client.temporal, QUEUE, options):
            run = await client.start(graph(server.url), id="secret-canary", queue=QUEUE)
            result = await run.result()
        assert {seen.headers["authorization"] for seen in server.seen} == {f"Bearer {CANARY}"}
    everything = result.results["all"]
    assert (everything["f"], everything["b"], everything["own"]["value"]) == ("failed", "broken", "***")
    history = await run.handle.fetch_history()
    model = await run.history()
    printed = capfd.readouterr()
    events = [event.SerializeToString() for event in history.events]
    assert any(b"secret:crm" in event for event in events)
    texts = [repr(result), repr(model), caplog.text, printed.out, printed.err]
    assert traces_in(*events, *texts, client.settings.home) == []
