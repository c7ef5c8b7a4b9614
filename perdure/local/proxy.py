"""Handing a request for text to the model's own server, and its answer back as it comes."""

from __future__ import annotations

import json
import select
import socket
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler
from typing import cast

from perdure.local.api import generation_error
from perdure.local.chat import Chat

MODEL_IDLE_TIMEOUT_S = 3600.0
"""Seconds between two signs of life of the model: requests wait for one another."""


def forward(handler: BaseHTTPRequestHandler, chat: Chat, path: str, body: bytes, title: str) -> None:
    """Answer with what the model says. If the client goes away, the model stops.

    Raises ConnectionError where either of them is gone.
    """
    inner = chat.connect(MODEL_IDLE_TIMEOUT_S)
    try:
        inner.request(
            "POST",
            path,
            body,
            {"Content-Type": "application/json", "Authorization": f"Bearer {chat.key}"},
        )
        _await_answer(inner, handler.connection)
        answer = inner.getresponse()
        if answer.status != 200:
            error = generation_error(answer.read(), title)
            send(handler, answer.status, json.dumps({"error": error}).encode())
        elif answer.headers.get_content_type() == "text/event-stream":
            _stream(handler, answer)
        else:
            send(handler, 200, answer.read())
    finally:
        inner.close()  # the model's server takes this for a cancellation


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    """Send a whole answer of JSON."""
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    if handler.close_connection:
        handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(body)


def _await_answer(inner: HTTPConnection, client: socket.socket) -> None:
    """Wait until the model answers, or raise ConnectionError when the client is gone before."""
    model = cast(socket.socket, inner.sock)
    while True:
        ready, _, _ = select.select([model, client], [], [])
        if model in ready:
            return
        if not client.recv(1, socket.MSG_PEEK):
            raise ConnectionAbortedError("the client is gone")
        select.select([model], [], [], 1.0)  # the client sent its next request already


def _stream(handler: BaseHTTPRequestHandler, answer: HTTPResponse) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while piece := answer.read1(1 << 16):
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    handler.wfile.write(b"0\r\n\r\n")
