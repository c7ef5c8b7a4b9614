"""Workers die while they deliver notices of questions: others deliver them, under the same ids."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from perdure.history.model import Phase
from perdure.runs import Run
from tests.chaos.report import Verdict, aftermath
from tests.chaos.world import World, world_in
from tests.support.mail import MailServer, mail_server
from tests.support.servers import Answer, Seen, serve
from tests.support.waiting import until

CHANNELS = ("default", "mail")


@dataclass(frozen=True)
class Options:
    """Each of `questions` is asked on a webhook and by mail; a worker is killed in `kills` deliveries."""

    questions: int = 20
    kills: int = 3
    limit_s: float = 300.0


SHORT = Options(questions=2, kills=1)


@dataclass
class Hook:
    """A webhook: while it `holds`, it reads requests and does not reply before it stops to hold."""

    held: list[str] = field(default_factory=list[str])
    taken: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    _replies: Event = field(default_factory=Event)

    def hold(self) -> None:
        self.held.clear()
        self._replies.clear()

    def release(self) -> None:
        self._replies.set()

    def respond(self, seen: Seen) -> Answer:
        if not self._replies.is_set():
            self.held.append(seen.headers["webhook-id"])
            self._replies.wait(timeout=120)
            return Answer(end="reset")
        self.taken.append((seen.json["run"], seen.headers["webhook-id"]))
        return Answer()


async def run(options: Options, home: Path) -> Verdict:
    """20 questions on two channels, and 3 workers that are killed with requests on their way."""
    verdict = Verdict(f"{options.questions} questions on {len(CHANNELS)} channels, {options.kills} kills")
    hook = Hook()
    with serve(hook.respond) as server, mail_server() as mails:
        env = {
            "PERDURE_NOTIFY": f"default={server.url} mail=mailto:team@example.org",
            "PERDURE_SMTP": mails.url,
            "PERDURE_SMTP_FROM": "runs@example.org",
        }
        async with world_in(home, **env) as world:
            runs = [await _asking(world, number) for number in range(options.questions)]
            cut = list[str]()
            for _ in range(options.kills):
                cut += await _killed_in_delivery(world, hook, options)
            began = time.monotonic()
            await world.worker()
            await until(lambda: _are_sent(runs), "all notices are sent", seconds=options.limit_s)
            verdict.tell("requests that a kill cut off", len(cut))
            verdict.tell(
                "seconds until all were sent, after the last kill", f"{time.monotonic() - began:.0f}"
            )
            await _judge(verdict, hook, mails, runs, cut)
            for each in runs:
                await each.answer("ask", "yes")
                await each.result()
            await aftermath(world, verdict)
    return verdict


async def _asking(world: World, number: int) -> Run:
    params = {"message": f"Question {number}?", "notify": list(CHANNELS)}
    graph: dict[str, Any] = {"nodes": {"ask": {"agent": "humanInputAgent", "params": params}}}
    return await world.client.start(graph, id=f"asks-{number}")


async def _killed_in_delivery(world: World, hook: Hook, options: Options) -> list[str]:
    """Kills a worker that has sent a notice and has no reply; the ids of the requests that this cut off."""
    hook.hold()
    worker = await world.worker()
    await until(lambda: bool(hook.held), "a notice on its way", seconds=options.limit_s)
    await asyncio.sleep(0.5)  # more of them
    world.kill_worker(worker)
    hook.release()
    return list(hook.held)


async def _are_sent(runs: list[Run]) -> bool:
    for each in runs:
        deliveries = [delivery for notice in await each.notices() for delivery in notice.deliveries]
        if [delivery.phase for delivery in deliveries] != [Phase.COMPLETED] * len(CHANNELS):
            return False
    return True


async def _judge(verdict: Verdict, hook: Hook, mails: MailServer, runs: list[Run], cut: list[str]) -> None:
    ids = {each.id: {notice.id for notice in await each.notices()} for each in runs}
    taken = defaultdict[str, set[str]](set)
    for name, id in hook.taken:
        taken[name].add(id)
    verdict.none("questions without one notice", [name for name, of_run in ids.items() if len(of_run) != 1])
    verdict.none(
        "webhook: notices lost, or under another id", [name for name in ids if taken[name] != ids[name]]
    )
    verdict.tell("webhook: notices that came twice", len(hook.taken) - len({id for _, id in hook.taken}))
    verdict.none("cut off and not sent again", sorted(set(cut) - {id for _, id in hook.taken}))
    named = [str(mail["Message-ID"]).partition("@")[0].strip("<") for mail in mails.mails]
    verdict.none("mails lost, or under another id", sorted(set[str]().union(*ids.values()) ^ set(named)))
    verdict.tell("mails that came twice", len(named) - len(set(named)))
    codes = {cause.code for each in runs for cause in (await each.explain("ask")).also}
    verdict.equal("what explain says of them", sorted(codes), ["notice-sent"])
