"""An answer whose acknowledgement is lost counts once, also when it is sent again: Python, HTTP, command."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from perdure.agents.catalog import catalog
from perdure.client import GraphClient, connect
from perdure.runs import Run
from perdure.web.serving import serving
from perdure.worker import WorkerOptions, build_worker
from tests.support import ROOT
from tests.support.mute_proxy import MuteProxy, mute_proxy
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

FIRST = {"agent": "humanInputAgent", "params": {"message": "Go?"}, "isResult": True}
GRAPH = {"nodes": {"first": FIRST, "last": {"agent": "textInputAgent", "inputs": {"after": ":first"}}}}


@asynccontextmanager
async def asking(client: GraphClient, id: str) -> AsyncIterator[tuple[Run, MuteProxy]]:
    """A run that asks, its worker, and a way to its server on which replies can get lost."""
    target = client.temporal.service_client.config.target_host
    options = WorkerOptions(agents=catalog(), settings=client.settings)
    async with build_worker(client.temporal, id, options), mute_proxy(target) as proxy:
        run = await client.start(GRAPH, id=id, queue=id)
        await until(lambda: asks(run, "first"), "the first question")
        yield run, proxy
        await run.answer("last", "done")
        result = (await run.result()).results["first"]
        assert (result["answer"], [answer["who"] for answer in result["by"]]) == ("yes", ["anna"])


async def asks(run: Run, path: str) -> bool:
    status = await run.status()
    return status is not None and [asked.path for asked in status.questions] == [path]


@asynccontextmanager
async def behind(proxy: MuteProxy, client: GraphClient) -> AsyncIterator[GraphClient]:
    """A client whose connection goes through the proxy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEMPORAL_ADDRESS", proxy.address)
        far = await connect(client.settings)
    try:
        yield far
    finally:
        far.close()


async def test_in_python_the_client_itself_sends_it_again(client: GraphClient) -> None:
    async with asking(client, "lost-python") as (run, proxy), behind(proxy, client) as far:
        proxy.is_mute = True
        sending = asyncio.create_task(far.get(run.id).answer("first", "yes", who="anna", id="1"))
        await until(lambda: asks(run, "last"), "the answer counts, and its sender does not know")
        assert not sending.done()
        await proxy.cut()
        await sending
        again = await far.get(run.id).answer("first", "yes", who="anna", id="1")
    assert again is not None
    assert (again.path, again.who) == ("first", "anna")


async def test_over_http_a_caller_that_was_cut_off_repeats_the_request(client: GraphClient) -> None:
    answer: dict[str, Any] = {"path": "first", "value": "yes", "who": "anna", "id": "click-1"}
    async with (
        asking(client, "lost-http") as (run, _),
        serving(client) as web,
        mute_proxy(web.url.removeprefix("http://")) as proxy,
    ):
        headers = {"Authorization": f"Bearer {web.token}", "Host": web.url.removeprefix("http://")}
        base = f"http://{proxy.address}/api/v1/runs/{run.id}"
        async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=180) as api:
            proxy.is_mute = True
            sending = asyncio.create_task(api.post("/answers", json=answer))
            await until(lambda: asks(run, "last"), "the answer counts, and its sender does not know")
            assert not sending.done()
            await proxy.cut()
            with pytest.raises(httpx2.HTTPError):
                await sending
            again = await api.post("/answers", json=answer)
            other = await api.post("/answers", json={**answer, "who": "ben", "id": "click-2"})
    assert (again.status_code, again.json()["kept"], again.json()["who"]) == (200, False, "anna")
    assert other.status_code == 400
    assert "anna" in other.json()["error"]["finding"]


async def test_a_command_that_is_killed_before_the_reply_is_repeated(
    client: GraphClient, tmp_path: Path
) -> None:
    async with asking(client, "lost-command") as (run, proxy):
        words = ["-m", "perdure", "answer", run.id, "first", "yes", "--as", "anna"]
        env = {"PERDURE_HOME": str(tmp_path), "TEMPORAL_ADDRESS": proxy.address, "PYTHONPATH": str(ROOT)}
        proxy.mark = b'"first"'

        command = await asyncio.create_subprocess_exec(sys.executable, *words, env=env)
        await until(lambda: asks(run, "last"), "the answer counts, and the command does not know")
        assert command.returncode is None
        command.send_signal(signal.SIGKILL)
        await command.wait()
        await proxy.cut()
        again = await run.answer("first", "yes", who="anna")  # as the command: under an id of its own
    assert again is not None
    assert again.already
