"""An SMTP server on loopback that keeps what it is sent: a real socket, nothing patched."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class MailServer:
    """Where it is, and the mails that arrived; `refusals` are the replies to the next receivers."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    refusals: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"


class _Handler(socketserver.StreamRequestHandler):
    server: _Smtp

    def handle(self) -> None:
        self.reply(b"220 ready")
        while line := self.rfile.readline():
            match line.strip().upper()[:4]:
                case b"RCPT" if self.server.kept.refusals:
                    self.reply(self.server.kept.refusals.pop(0))
                case b"DATA":
                    self.reply(b"354 go ahead")
                    lines = iter(self.rfile.readline, b".\r\n")
                    data = b"".join(line.removeprefix(b".") for line in lines)
                    mail = message_from_bytes(data, EmailMessage, policy=policy.default)
                    self.server.kept.mails.append(mail)
                    self.reply(b"250 kept")
                case b"QUIT":
                    self.reply(b"221 bye")
                    return
                case _:
                    self.reply(b"250 ok")

    def reply(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


class _Smtp(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kept = MailServer(self.server_address[1])


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Runs a server that takes every mail."""
    with _Smtp() as smtp:
        thread = threading.Thread(target=smtp.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield smtp.kept
        finally:
            smtp.shutdown()
            thread.join()
