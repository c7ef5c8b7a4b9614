"""An answer whose acknowledgement is lost counts once, also if it is sent again: in Python and over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx2
import pytest

from perdure.agents.catalog import catalog
from perdure.client import GraphClient, connect
from perdure.engine.closed_questions import Receipt
from perdure.errors import ConnectionFailed
from perdure.runs import Run
from perdure.web.serving import serving
from perdure.worker import WorkerOptions, build_worker
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
        await run.answer("last", "done")  # or the server keeps it, which is as good
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


async def replied(run: Run, *, id: str = "") -> Receipt:
    """What the run replies to the answer; a busy one keeps it at first, and is asked again."""
    return await until(lambda: run.answer("first", "yes", who="anna", id=id), "a reply")


async def test_in_python_the_client_itself_sends_it_again(client: GraphClient) -> None:
    async with asking(client, "lost-python") as (run, proxy), behind(proxy, client) as far:
        proxy.is_mute = True
        sending = asyncio.create_task(far.get(run.id).answer("first", "yes", who="anna", id="1"))
        await until(lambda: asks(run, "last"), "the answer counts, and its sender does not know")
        await proxy.cut()
        with suppress(ConnectionFailed):  # it has waited for longer than a caller is kept waiting
            await sending
        again = await replied(far.get(run.id), id="1")
    assert (again.path, again.who) == ("first", "anna")


async def test_a_sender_that_dies_before_the_reply_sends_it_again_under_another_id(
    client: GraphClient,
) -> None:
    async with asking(client, "lost-sender") as (run, proxy):
        async with behind(proxy, client) as far:
            proxy.is_mute = True
            sending = asyncio.create_task(far.get(run.id).answer("first", "yes", who="anna"))
            await until(lambda: asks(run, "last"), "the answer counts, and its sender does not know")
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        again = await replied(run)
    assert again.already


async def test_over_http_a_caller_that_was_cut_off_repeats_the_request(client: GraphClient) -> None:
    answer = {"path": "first", "value": "yes", "who": "anna", "id": "click-1"}
    async with (
        asking(client, "lost-http") as (run, _),
        serving(client) as web,
        mute_proxy(web.url.removeprefix("http://")) as proxy,
    ):
        headers = {"Authorization": f"Bearer {web.token}", "Host": web.url.removeprefix("http://")}
        base = f"http://{proxy.address}/api/v1/runs/{run.id}"
        async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=180) as api:

            async def sent(body: dict[str, str]) -> httpx2.Response | None:
                reply = await api.post("/answers", json=body)
                return None if reply.status_code == 202 else reply

            proxy.is_mute = True
            sending = asyncio.create_task(api.post("/answers", json=answer))
            await until(lambda: asks(run, "last"), "the answer counts, and its sender does not know")
            await proxy.cut()
            with pytest.raises(httpx2.HTTPError):
                await sending
            again = await until(lambda: sent(answer), "a reply")
            other = await until(lambda: sent({**answer, "who": "ben", "id": "click-2"}), "a reply")
    assert (again.status_code, again.json()["kept"], again.json()["who"]) == (200, False, "anna")
    assert other.status_code == 400
    assert "anna" in other.json()["error"]["finding"]
