"""A mail to the server of the operator, by SMTP."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from perdure.errors import FinalError, TransientError

SMTP_TIMEOUT_S: Final = 20.0
"""Seconds for each step of a conversation with the server."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PERMANENT: Final = range(500, 600)


def message(sender: str, to: str, subject: str, text: str, id: str) -> EmailMessage:
    """A mail whose Message-ID is `id`, so that a reader shows a second delivery as the first.

    `to` are addresses with commas between them. A subject is one line, whatever is in it.
    """
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, to
    mail["Subject"] = " ".join(subject.split())
    mail["Date"], mail["Message-ID"] = formatdate(), f"<{id}@{sender.rpartition('@')[2].strip('>')}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text)
    return mail


async def deliver(url: str, mail: EmailMessage) -> None:
    """Sends a mail by the server at `url`.

    Raises TransientError where it was not taken, FinalError where no receiver exists.
    """
    try:
        await asyncio.to_thread(_send, urlsplit(url), mail)
    except smtplib.SMTPRecipientsRefused as error:
        codes = {code for code, _ in error.recipients.values()}
        kind = FinalError if all(code in _PERMANENT for code in codes) else TransientError
        raise kind(f"the mail server takes no mail for the channel: {sorted(codes)}") from error
    except (OSError, smtplib.SMTPException) as error:  # some of their messages quote what was sent
        raise TransientError(f"the mail server did not take the notice: {type(error).__name__}") from error


def _send(server: SplitResult, mail: EmailMessage) -> None:
    host, is_secure = server.hostname or "", server.scheme == "smtps"
    context = ssl.create_default_context()
    if is_secure:
        smtp = smtplib.SMTP_SSL(host, server.port or 465, timeout=SMTP_TIMEOUT_S, context=context)
    else:
        smtp = smtplib.SMTP(host, server.port or 25, timeout=SMTP_TIMEOUT_S)
    with smtp:
        smtp.ehlo()
        if not is_secure and host not in _LOOPBACK and smtp.has_extn("starttls"):
            smtp.starttls(context=context)
            smtp.ehlo()
            is_secure = True
        if server.username is not None:
            if not is_secure and host not in _LOOPBACK:
                raise smtplib.SMTPNotSupportedError("a password is not sent without TLS")
            smtp.login(unquote(server.username), unquote(server.password or ""))
        smtp.send_message(mail)
