"""Notices of questions on a real server: each reaches its channel, whatever the run and its worker do."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.exceptions import WorkflowAlreadyStartedError

from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.engine.human_tasks import HumanPrompt, Notice
from perdure.engine.messages import RunOptions
from perdure.history.model import Attempt
from perdure.protocol.agents import AgentRegistry
from perdure.protocol.progress import RunProgress
from perdure.runs import Run
from perdure.worker import WorkerOptions, build_worker
from perdure.workflows.notices import Notices
from tests.support.host import FakeHost
from tests.support.mail import mail_server
from tests.support.servers import Answer, Seen, Server, serve
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


def asking(**params: Any) -> dict[str, Any]:
    node = {"agent": "humanInputAgent", "params": {"message": "Go?", **params}, "isResult": True}
    return {"nodes": {"ask": node}}


@dataclass
class Hook:
    """A webhook that takes what it is sent while `is_up`."""

    server: Server
    is_up: Event
    bodies: list[Any] = field(default_factory=list)

    @property
    def taken(self) -> list[tuple[str, str, Any]]:
        return [(body["event"], body["path"], body["how"]) for body in self.bodies]


@contextmanager
def hooked(*, up: bool = True) -> Iterator[Hook]:
    is_up = Event()
    if up:
        is_up.set()

    def respond(seen: Seen) -> Answer:
        status = 200 if is_up.is_set() else 503
        if status == 200:
            hook.bodies.append(seen.json)
        return Answer(status=status)

    with serve(respond) as server:
        hook = Hook(server, is_up)
        yield hook


@asynccontextmanager
async def working(client: GraphClient, queue: str, **notify: str) -> AsyncIterator[None]:
    settings = replace(client.settings, notify=notify)
    async with build_worker(client.temporal, queue, WorkerOptions(agents=catalog(), settings=settings)):
        yield


async def arrived(hook: Hook, count: int) -> None:
    async def are_there() -> bool:
        return len(hook.taken) >= count

    await until(are_there, f"{count} notices")


async def asked(run: Run) -> None:
    async def is_asked() -> bool:
        status = await run.status()
        return status is not None and bool(status.questions)

    await until(is_asked, "a question")


async def delivered(run: Run) -> list[str]:
    """What became of the notices of its question."""
    notices = await run.notices()
    return [
        " ".join([notice.event, each.channel, str(each.phase), *_reason(each.attempt)])
        for notice in notices
        for each in notice.deliveries
    ]


def _reason(attempt: Attempt) -> list[str]:
    return [] if attempt.ended is not None or attempt.failure is None else [attempt.failure]


async def test_asked_reminded_escalated_closed(client: GraphClient) -> None:
    graph = asking(
        who=["anna"],
        remind=[10, 20],
        escalate={"after": 30, "who": ["group:leads"], "notify": "leads"},
        timeout={"after": 40, "result": "no"},
    )
    with hooked() as team, hooked() as leads:
        async with working(client, "times", default=f"{team.server.url}/a", leads=f"{leads.server.url}/b"):
            run = await client.start(graph, queue="times", name="post")
            assert (await run.result()).results["ask"]["how"] == "timeout"
            await arrived(team, 5)
            await arrived(leads, 2)
    events = ["asked", "reminded", "reminded", "escalated", "closed"]
    assert Counter(event for event, _, _ in team.taken) == Counter(events)
    assert sorted(leads.taken) == [("closed", "ask", "timeout"), ("escalated", "ask", None)]
    bodies = {(seen.json["event"], seen.json["number"]): seen.json for seen in team.server.seen}
    assert bodies["reminded", 2]["run"] == run.id
    assert bodies["escalated", 0]["who"] == ["anna", "group:leads"]
    assert len({body["id"] for body in bodies.values()}) == 5


async def test_a_run_ends_while_the_channel_is_down_and_nothing_is_lost(client: GraphClient) -> None:
    with hooked(up=False) as team:
        async with working(client, "down", default=team.server.url):
            run = await client.start(asking(), queue="down")
            await asked(run)

            async def is_repeated() -> bool:
                return any("the webhook answered 503" in line for line in await delivered(run))

            await until(is_repeated, "a notice that is repeated")
            await run.answer("ask", "yes", who="anna")
            assert (await run.result()).results["ask"]["text"] == "yes"
        team.is_up.set()
        async with working(client, "down", default=team.server.url):
            await arrived(team, 2)

            async def are_sent() -> bool:
                return await delivered(run) == ["asked default completed", "closed default completed"]

            await until(are_sent, "both notices are sent")
    assert sorted(team.taken) == [("asked", "ask", None), ("closed", "ask", "answer")]
    by_id = {seen.headers["webhook-id"]: seen.json["event"] for seen in team.server.seen}
    assert sorted(by_id.values()) == ["asked", "closed"]
    assert by_id.keys() == {notice.id for notice in await run.notices()}


async def test_a_notice_whose_reply_is_lost_is_sent_again_under_its_id(client: GraphClient) -> None:
    def respond(_: Seen) -> Answer:
        return Answer(end="reset") if len(server.seen) == 1 else Answer(status=410)

    with serve(respond) as server:
        async with working(client, "reply", default=server.url):
            run = await client.start(asking(), queue="reply")

            async def has_failed() -> bool:
                return await delivered(run) == ["asked default failed"]

            await until(has_failed, "a channel that is gone")
            await run.terminate()
    assert len(server.seen) > 1
    assert {seen.headers["webhook-id"] for seen in server.seen} == {(await run.notices())[0].id}


async def test_a_question_that_continues_as_new_is_asked_once(client: GraphClient) -> None:
    graph = {
        "nodes": {
            **asking(remind=[1])["nodes"],
            "steps": {
                "agent": "nestedAgent",
                "graph": {
                    "loop": {"count": 12},
                    "nodes": {"s": {"agent": "sleeperAgent", "params": {"duration": 1}}},
                },
            },
        }
    }
    with hooked() as team:
        async with working(client, "again", default=team.server.url):
            run = await client.start(graph, queue="again", options=RunOptions(events=15))

            async def has_continued() -> bool:
                return (await run.describe()).info.first_run_id != (
                    await run.describe()
                ).info.execution.run_id

            await until(has_continued, "a run that continues")
            await run.answer("ask", "yes")
            await run.result()
            await arrived(team, 3)
    assert sorted(event for event, _, _ in team.taken) == ["asked", "closed", "reminded"]


async def test_a_mail_is_sent(client: GraphClient) -> None:
    with mail_server() as server:
        settings = replace(
            client.settings,
            notify={"leads": "mailto:leads@example.org"},
            smtp=server.url,
            smtp_from="runs@example.org",
        )
        async with build_worker(client.temporal, "mail", WorkerOptions(agents=catalog(), settings=settings)):
            run = await client.start(asking(notify="leads"), queue="mail", name="post")

            async def has_come() -> bool:
                return bool(server.mails)

            await until(has_come, "a mail")
            await run.terminate()
    assert str(server.mails[0]["Subject"]) == "[post] Go?"


async def test_without_the_channel_the_console_says_so_and_the_question_stays(client: GraphClient) -> None:
    with hooked() as team:
        async with working(client, "none", default=team.server.url):
            run = await client.start(asking(notify=["leads", "https"]), queue="none")
            await asked(run)
            status = await run.status()
            await run.answer("ask", "yes")
            await run.result()
    assert status is not None
    assert list(status.console) == [
        f"no notice went to {name!r}: the worker has no such channel in PERDURE_NOTIFY"
        for name in ("leads", "https")
    ]
    assert team.server.seen == []


async def test_without_channels_a_history_has_no_more_events(client: GraphClient) -> None:
    async with working(client, "silent"):
        run = await client.start(asking(remind=["1h"]), queue="silent")
        await asked(run)
        await run.answer("ask", "yes")
        await run.result()
        history = await client.temporal.get_workflow_handle(run.id).fetch_history()
    kinds = {EventType.Name(event.event_type) for event in history.events}
    assert not [kind for kind in kinds if "CHILD" in kind or "TIMER" in kind]


async def test_the_temporal_ui_links_to_the_page(client: GraphClient) -> None:
    settings = replace(client.settings, ui_url="https://runs.example.org")
    async with build_worker(client.temporal, "link", WorkerOptions(agents=catalog(), settings=settings)):
        run = await client.start(asking(), id="post 7", queue="link")
        await asked(run)
        handle = client.temporal.get_workflow_handle(run.id)
        open_details = (await handle.query("__temporal_workflow_metadata")).current_details
        await run.answer("ask", "yes")
        await run.result()
        ended = (await handle.query("__temporal_workflow_metadata")).current_details
    link = "[Open the live page](https://runs.example.org/#/run/post%207)"
    assert open_details.splitlines()[0] == ended.splitlines()[0] == link
    assert "asks: Go?" in open_details
    assert "completed" in ended


async def test_a_notice_is_bounded() -> None:
    host = FakeHost()
    notices = Notices(host, "post", AgentRegistry(channels=["default"]), RunProgress("post"), lambda: None)
    prompt = HumanPrompt(
        path="p" * 600, who=[f"w{n}" for n in range(200)], answers=[{"who": "a", "at": 1}] * 200
    )
    notices.send(Notice("asked", 1, prompt, 5))
    notices.send(Notice("reminded", 1, prompt, 6, 1))
    first, second = (each.argument for each in host.started)
    assert (len(first["path"]), len(first["who"]), len(first["by"])) == (497, 100, 100)
    assert first["id"] != second["id"]
    assert not notices.is_idle()
    for each in host.started:
        each.result.set_exception(WorkflowAlreadyStartedError(first["id"], "perdure.notice"))
    await notices.begun()
    await host.settle()
    assert notices.is_idle()


@pytest.mark.parametrize(
    ("numbers", "same"),
    [pytest.param(True, [(1, 5), (1, 6)], id="call"), pytest.param(False, [(1, 5), (2, 5)], id="older run")],
)
async def test_the_id_of_a_notice_is_that_of_its_call_whatever_the_time(
    numbers: bool, same: list[tuple[int, int]]
) -> None:
    host = FakeHost()
    registry = AgentRegistry(channels=["default"], numbers_notices=numbers)
    notices = Notices(host, "post", registry, RunProgress("post"), lambda: None)
    for call, asked_ms in [*same, (3, 7)]:
        notices.send(Notice("asked", call, HumanPrompt(path="ask", asked=asked_ms), asked_ms))
    first, second, other = (each.argument["id"] for each in host.started)
    assert first == second != other
    for each in host.started:
        each.result.set_result(None)
    await notices.begun()
