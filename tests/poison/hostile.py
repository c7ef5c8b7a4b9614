"""An HTTP server that means harm. What it answers is the first folder of the path, or the model asked for."""

from __future__ import annotations

import gzip
import json
import socketserver
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

PIECE = b"x" * 65_536

Answer = Callable[[], Iterable[bytes]]


def _head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", "Connection: close", *lines, "", "")).encode()


def _body(body: bytes, *lines: str, status: str = "200 OK") -> Iterable[bytes]:
    yield _head(f"Content-Length: {len(body)}", *lines, status=status)
    yield body


def _gzipped(head: bytes, piece: bytes, count: int, tail: bytes, kind: str = "application/json") -> Answer:
    @cache
    def body() -> bytes:
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        pieces = [packer.compress(head), *(packer.compress(piece * 1000) for _ in range(count // 1000))]
        return b"".join((*pieces, packer.compress(tail), packer.flush()))

    return lambda: _body(body(), f"Content-Type: {kind}", "Content-Encoding: gzip")


def _endless(head: bytes, piece: bytes, pause_s: float = 0.0) -> Answer:
    def answer() -> Iterator[bytes]:
        yield head
        while True:
            yield piece
            if pause_s:
                time.sleep(pause_s)

    return answer


def _numbered(head: bytes, piece: str) -> Answer:
    def answer() -> Iterator[bytes]:
        yield head
        for start in range(0, 1 << 40, 1000):
            yield "".join(piece.replace("#", str(start + index)) for index in range(1000)).encode()

    return answer


def _json(value: Any, status: str = "200 OK") -> Answer:
    return lambda: _body(json.dumps(value).encode(), "Content-Type: application/json", status=status)


def _text(body: bytes, kind: str = "application/json", status: str = "200 OK") -> Answer:
    return lambda: _body(body, f"Content-Type: {kind}", status=status)


def _said(message: dict[str, Any]) -> Answer:
    """A whole answer of a chat model."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return _json({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})


def _call(name: str, arguments: str) -> dict[str, Any]:
    return {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}


_SSE = _head("Content-Type: text/event-stream")
_CHUNKED = _head("Transfer-Encoding: chunked")
_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))

PAGES: dict[str, Answer] = {
    "gzip-lists": _gzipped(b"[", b"[],", 6_600_000, b"[]]"),
    "gzip-objects": _gzipped(b"[", b'{"a":{}},', 2_200_000, b"{}]"),
    "gzip-numbers": _gzipped(b"[", b"1,", 9_900_000, b"1]"),
    "gzip-strings": _gzipped(b"[", b'"\xc3\xbf",', 3_000_000, b'""]'),
    "gzip-keys": _gzipped(b"{", b'"a":"\\u0000",', 1_500_000, b'"z":0}'),
    "gzip-zeros": _gzipped(b"", b"\0" * 1000, 1_000_000, b""),
    "gzip-broken": lambda: _body(gzip.compress(PIECE)[:50], "Content-Encoding: gzip"),
    "gzip-twice": lambda: _body(
        gzip.compress(gzip.compress(bytes(50_000_000))), "Content-Encoding: gzip, gzip"
    ),
    "endless": _endless(_head(), PIECE),
    "headers": lambda: [_head(*(f"X-{index}: {'a' * 900}" for index in range(20_000)))],
    "one-header": _endless(b"HTTP/1.1 200 OK\r\nX: ", PIECE),
    "drip": _endless(_head("Content-Length: 100000"), b"x", 1.0),
    "drip-head": _endless(b"HTTP/1.1 200 OK\r\n", b"X", 1.0),
    "early-hints": _endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
    "chunks": _endless(_CHUNKED, b"1\r\nx\r\n" * 10_000),
    "huge-chunk": _endless(_CHUNKED + b"7fffffffffffffff\r\n", PIECE),
    "trailers": _endless(_CHUNKED + b"0\r\n", b"X: a\r\n" * 1000),
    "xml": _gzipped(b"<a>", b"<b/>", 4_900_000, b"</a>", "application/xml"),
    "xml-deep": _gzipped(b"", b"<b>", 1_000_000, b"", "application/xml"),
    "xml-attributes": _text(
        b"<a " + b" ".join(b'a%d=""' % index for index in range(400_000)) + b"/>", "text/xml"
    ),
    "xml-laughs": _text(f"<!DOCTYPE a [<!ENTITY l0 'ha'>{_LAUGHS}]><a>&l11;</a>".encode(), "text/xml"),
    "deep": _text(b"[" * 500_000),
    "digits": _text(b"[" + b"9" * 4_000_000 + b"]"),
    "nan": _text(b'[NaN, Infinity, -Infinity, 1e999, "\\ud800"]'),
    "redirects": lambda: _body(b"", "Location: /page/redirects", status="302 Found"),
    "retry-at-once": lambda: _body(b"", "retry-after-ms: 1", status="503 Unavailable"),
    "retry-never": lambda: _body(b"", "Retry-After: 1e308", status="429 Too Many Requests"),
    "error": _text(b"E" * 20_000_000, "text/plain", "500 Server Error"),
    "escapes": _text("\x1b]0;x\x07\x9b31m\u202e\u2028\n".encode() * 100, "text/plain", "404 Not Found"),
}
ANSWERS: dict[str, Answer] = {
    "no-line-end": _endless(_SSE + b"data: ", PIECE),
    "comments": _endless(_SSE, b": c\n\n" * 10_000),
    "drip": _endless(_SSE, b": c\n\n", 1.0),
    "choices": _numbered(_SSE, 'data: {"choices":[{"index":#,"delta":{"a#":"x"}}]}\n\n'),
    "fields": _numbered(_SSE, 'data: {"k#":"xxxxxxxxxxxxxxxxxxxxxxxx","choices":[]}\n\n'),
    "tool-calls": _numbered(
        _SSE,
        'data: {"choices":[{"index":0,"delta":{"tool_calls":'
        '[{"index":#,"function":{"arguments":"x"}}]}}]}\n\n',
    ),
    "content": _numbered(_SSE, 'data: {"choices":[{"index":0,"delta":{"content":"################"}}]}\n\n'),
    "endless-json": _endless(_head("Content-Type: application/json") + b"[", b"1," * 32_768),
    "gzip": _gzipped(b"", b" " * 1000, 3_000_000, b""),
    "deep": PAGES["deep"],
    "lists": PAGES["gzip-lists"],
    "error": PAGES["error"],
    "retry-at-once": PAGES["retry-at-once"],
    "fence-letters": _said({"content": "```" + "a" * 65_536}),
    "fence-blanks": _said({"content": "```" + " " * 65_536 + "x"}),
    "fences": _said({"content": "```json\n" * 16_384}),
    "nonsense": _json({"choices": [{"message": 5, "finish_reason": []}], "usage": "many"}),
    "many-tools": _said({"content": None, "tool_calls": [_call("a--b", "{}")] * 20_000}),
    "deep-arguments": _said({"content": None, "tool_calls": [_call("a--b", '{"a":' * 100_000)]}),
}


UNASKED = "many-tools"
"""What a model answers that no case has chosen."""


class _Handler(socketserver.StreamRequestHandler):
    timeout = 120

    def handle(self) -> None:
        try:
            for piece in self._answer()():
                self.wfile.write(piece)
        except OSError:
            pass  # they hang up, as they should

    def _answer(self) -> Answer:
        path = self.rfile.readline().split()[1].decode().strip("/")
        length = 0
        while (line := self.rfile.readline().strip()) != b"":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = self.rfile.read(length)  # else closing would reset the connection, and the answer be lost
        kind, _, name = path.partition("/")
        if kind == "page":
            return PAGES[name]
        if kind == "model":  # an endpoint that the graph names
            return ANSWERS[name.partition("/")[0]]
        return ANSWERS.get(json.loads(body)["model"], ANSWERS[UNASKED])


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address


@contextmanager
def hostile() -> Iterator[str]:
    """The URL of a running one."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
