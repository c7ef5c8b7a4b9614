"""Delivers notices of questions on the channels of a worker: what a webhook is sent, and what a mail says.

A notice has what people need in order to answer, and no more: no inputs, no prefilled fields, no answers. It
goes to services of others.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from temporalio import activity
from temporalio.common import RawValue

from perdure.activities.failures import typed_failures
from perdure.activities.heartbeat import Heartbeat
from perdure.errors import TransientError
from perdure.graph.text.shown import line, plain
from perdure.net.egress import Guard
from perdure.net.mail import deliver as deliver_mail
from perdure.net.mail import message
from perdure.net.webhook import post
from perdure.protocol.names import NOTICE
from perdure.protocol.payloads import HumanNotice
from perdure.protocol.wire import unpack
from perdure.settings import Settings

MAX_NOTICE_TITLE_CHARS: Final = 150
"""Characters of the message in the line that sums a notice up."""

_MAILTO: Final = "mailto:"


@dataclass(frozen=True, slots=True)
class NoticeActivity:
    """The activity that delivers notices of questions on the channels of a worker."""

    settings: Settings

    @activity.defn(name=NOTICE)
    async def deliver(self, notice: RawValue, channel: str) -> None:
        """Delivers once; the server repeats what fails, also on another worker if this one dies."""
        info = activity.info()
        beating = asyncio.create_task(Heartbeat(info.attempt).beat(info.heartbeat_timeout))
        try:
            with typed_failures():
                await deliver(unpack(notice, HumanNotice), channel, self.settings)
        finally:
            beating.cancel()


async def deliver(notice: HumanNotice, channel: str, settings: Settings) -> None:
    """Delivers once. Raises TransientError where that may succeed later, also on another worker."""
    address = settings.notify.get(channel)
    if address is None:
        raise TransientError(
            f"this worker has no channel {channel!r}", hint="set PERDURE_NOTIFY as elsewhere"
        )
    link = f"{settings.ui_url}/#/run/{quote(notice.run, safe='')}" if settings.ui_url else ""
    if not address.startswith(_MAILTO):
        body = json.dumps(webhook_body(notice, link)).encode()
        guard = Guard.of(settings.allow_hosts)
        await post(address, notice.id, int(time.time()), body, settings.notify_secret, guard)
        return
    if not settings.smtp or not settings.smtp_from:
        raise TransientError("this worker sends no mail", hint="set PERDURE_SMTP and PERDURE_SMTP_FROM")
    to, subject = address.removeprefix(_MAILTO), f"[{line(notice.graph)}] {title(notice)}"
    await deliver_mail(
        settings.smtp, message(settings.smtp_from, to, subject, mail_text(notice, link), notice.id)
    )


def title(notice: HumanNotice) -> str:
    """The notice in one line."""
    asked = line(notice.message)
    asked = asked if len(asked) <= MAX_NOTICE_TITLE_CHARS else f"{asked[:MAX_NOTICE_TITLE_CHARS]}…"
    match notice.event:
        case "reminded":
            return f"Reminder {notice.number}: {asked}"
        case "escalated":
            return f"Still open: {asked}"
        case "closed":
            return f"Closed: {asked} ({_ending(notice)})"
        case _:
            return asked


def _ending(notice: HumanNotice) -> str:
    names = ", ".join(line(answer.get("who") or "a person without a name") for answer in notice.by)
    if notice.how in ("answer", "quorum"):
        return f"answered by {names}"
    return "its time ran out" if notice.how == "timeout" else "cancelled"


def webhook_body(notice: HumanNotice, link: str) -> dict[str, Any]:
    """What a webhook is sent. Chat services show its `text`."""
    return {
        "id": notice.id,
        "event": notice.event,
        "run": notice.run,
        "graph": notice.graph,
        "path": notice.path,
        "message": notice.message,
        "who": list(notice.who),
        "at": notice.at,
        "asked": notice.asked,
        "closes": notice.closes or None,
        "number": notice.number,
        "how": notice.how or None,
        "by": [dict(answer) for answer in notice.by],
        "link": link or None,
        "text": f"{title(notice)}\n{link}" if link else title(notice),
    }


def mail_text(notice: HumanNotice, link: str) -> str:
    """What a mail says."""
    parts = [plain(notice.message), f"Run {line(notice.run)} of {line(notice.graph)}, {line(notice.path)}."]
    if notice.event == "closed":
        parts.append(f"The question is closed: {_ending(notice)}.")
        return "\n\n".join(parts) + "\n"
    if notice.who:
        parts.append(f"Asked: {', '.join(map(line, notice.who))}.")
    if notice.closes:
        until = datetime.fromtimestamp(notice.closes / 1000, UTC)
        parts.append(f"Open until {until:%Y-%m-%d %H:%M} UTC.")
    if link:
        parts.append(f"Answer on the page: {link}")
    parts.append(f"Or with: perdure answer {line(notice.run)} {line(notice.path)}")
    return "\n\n".join(parts) + "\n"
