"""Delivery of notices: what a webhook and a mail hold, and which failures are tried again."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest

from perdure.activities.notices import deliver, title
from perdure.errors import FinalError, TransientError
from perdure.net.mail import message
from perdure.protocol.payloads import HumanNotice
from perdure.settings import Settings
from tests.support.mail import mail_server
from tests.support.servers import Answer, Seen, serve

pytestmark = [pytest.mark.unit, pytest.mark.anyio]

KEY = b"0123456789abcdef"
NOTICE = HumanNotice(
    id="notice-1",
    event="asked",
    run="post/7",
    graph="post",
    path="approve",
    message="Publish **Tides**?\nBcc: all@example.org",
    who=["anna@example.org"],
    channels=["default"],
    at=5,
    asked=5,
    closes=259_200_000,
)


def settings(address: str, **more: Any) -> Settings:
    secret = "whsec_" + base64.b64encode(KEY).decode()
    page = "https://runs.example.org"
    return Settings(notify={"default": address}, notify_secret=secret, ui_url=page, **more)


def closed(how: str, *by: str) -> HumanNotice:
    answers = [{"who": who, "at": 1} for who in by]
    return HumanNotice(id="n", event="closed", run="r", message="Q?", how=how, by=answers)


async def test_a_webhook_is_sent_what_people_need_and_can_verify_it() -> None:
    with serve(lambda seen: Answer(status=204)) as server:
        await deliver(NOTICE, "default", settings(f"{server.url}/hooks/x"))
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.headers["content-type"]) == ("POST", "/hooks/x", "application/json")
    assert seen.json == {
        "id": "notice-1",
        "event": "asked",
        "run": "post/7",
        "graph": "post",
        "path": "approve",
        "message": NOTICE.message,
        "who": ["anna@example.org"],
        "at": 5,
        "asked": 5,
        "closes": 259_200_000,
        "number": 0,
        "how": None,
        "by": [],
        "link": "https://runs.example.org/#/run/post%2F7",
        "text": "Publish **Tides**?\\nBcc: all@example.org\nhttps://runs.example.org/#/run/post%2F7",
    }
    signed = f"notice-1.{seen.headers['webhook-timestamp']}.".encode() + seen.body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert seen.headers["webhook-id"] == "notice-1"
    assert seen.headers["webhook-signature"] == f"v1,{expected}"


AGAIN = [
    (Answer(status=500), "the webhook answered 500"),
    (Answer(status=404), "the webhook answered 404"),
    (Answer(status=302, headers={"Location": "http://127.0.0.1:9/"}), "the webhook was not reached"),
    (Answer(end="reset"), "the webhook was not reached"),
]


@pytest.mark.parametrize(("answer", "finding"), AGAIN)
async def test_a_webhook_that_does_not_take_it_is_tried_again(answer: Answer, finding: str) -> None:
    def respond(seen: Seen) -> Answer:
        return answer

    with serve(respond) as server, pytest.raises(TransientError, match=finding) as caught:
        await deliver(NOTICE, "default", settings(f"{server.url}/secret-path"))
    assert len(server.seen) == 1
    assert "secret-path" not in str(caught.value)


async def test_a_webhook_that_is_gone_is_not() -> None:
    with (
        serve(lambda seen: Answer(status=410)) as server,
        pytest.raises(FinalError, match="the webhook is gone"),
    ):
        await deliver(NOTICE, "default", settings(server.url))


async def test_a_worker_without_the_channel_leaves_it_to_others() -> None:
    with pytest.raises(TransientError, match="this worker has no channel 'leads'"):
        await deliver(NOTICE, "leads", settings("https://example.org"))
    with pytest.raises(TransientError, match="this worker sends no mail"):
        await deliver(NOTICE, "default", settings("mailto:a@example.org"))


async def test_a_mail() -> None:
    with mail_server() as server:
        to = settings("mailto:a@example.org,b@example.org", smtp=server.url, smtp_from="p@example.org")
        await deliver(NOTICE, "default", to)
    (mail,) = server.mails
    headers = {name: str(mail[name]) for name in ("From", "To", "Subject", "Message-ID", "Bcc")}
    assert headers == {
        "From": "p@example.org",
        "To": "a@example.org, b@example.org",
        "Subject": "[post] Publish **Tides**?\\nBcc: all@example.org",
        "Message-ID": "<notice-1@example.org>",
        "Bcc": "None",
    }
    assert mail.get_content().splitlines() == [
        "Publish **Tides**?",
        "Bcc: all@example.org",
        "",
        "Run post/7 of post, approve.",
        "",
        "Asked: anna@example.org.",
        "",
        "Open until 1970-01-04 00:00 UTC.",
        "",
        "Answer on the page: https://runs.example.org/#/run/post%2F7",
        "",
        "Or with: perdure answer post/7 approve",
    ]


REFUSED = [(b"550 no such user", FinalError), (b"450 later", TransientError)]


@pytest.mark.parametrize(("reply", "kind"), REFUSED)
async def test_a_mail_that_is_refused(reply: bytes, kind: type[Exception]) -> None:
    with mail_server() as server:
        server.refusals.append(reply)
        to = settings("mailto:a@b.org", smtp=server.url, smtp_from="p@example.org")
        with pytest.raises(kind, match="the mail server takes no mail for the channel"):
            await deliver(NOTICE, "default", to)
    assert server.mails == []


async def test_a_mail_server_that_is_down() -> None:
    with mail_server() as server:
        pass
    with pytest.raises(TransientError, match="the mail server did not take the notice"):
        await deliver(NOTICE, "default", settings("mailto:a@b.org", smtp=server.url, smtp_from="p@b.org"))


def test_a_subject_is_one_line() -> None:
    mail = message("p@example.org", "a@example.org", "x\r\nBcc: all@example.org\ny", "text", "id")
    assert str(mail["Subject"]) == "x Bcc: all@example.org y"
    assert mail["Bcc"] is None


TITLES = [
    (closed("answer", "anna"), "Closed: Q? (answered by anna)"),
    (closed("quorum", "anna", ""), "Closed: Q? (answered by anna, a person without a name)"),
    (closed("timeout"), "Closed: Q? (its time ran out)"),
    (closed("cancelled"), "Closed: Q? (cancelled)"),
    (HumanNotice(id="n", event="reminded", run="r", message="Q?", number=2), "Reminder 2: Q?"),
    (HumanNotice(id="n", event="escalated", run="r", message="Q?"), "Still open: Q?"),
    (HumanNotice(id="n", event="asked", run="r", message="Q" * 200), "Q" * 150 + "…"),
]


@pytest.mark.parametrize(("notice", "expected"), TITLES)
def test_titles(notice: HumanNotice, expected: str) -> None:
    assert title(notice) == expected
