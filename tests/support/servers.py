"""HTTP servers on loopback that answer as the tests say: real sockets, nothing patched."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request that arrived. Header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What to answer. `pieces` are sent one by one, chunked; `end` says how the connection ends."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: tuple[bytes, ...] | None = None
    end: str = "clean"  # or "truncated", "reset"
    pause: float = 0.0
    """Seconds between the pieces."""


Respond = Callable[[Seen], Answer]


@dataclass
class Server:
    """A running server: where it is, and what arrived."""

    port: int
    seen: list[Seen] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def handle_any(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        parts = urlsplit(self.path)
        seen = Seen(
            method=self.command,
            path=parts.path,
            query={key: values[-1] for key, values in parse_qs(parts.query).items()},
            headers={key.lower(): value for key, value in self.headers.items()},
            body=self.rfile.read(length),
        )
        self.server.seen.append(seen)
        try:
            self.answer(self.server.respond(seen))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = handle_any

    def answer(self, answer: Answer) -> None:
        if answer.end == "reset" and answer.pieces is None:
            self.reset()
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.pieces is not None:
            self.stream(answer, answer.pieces)
            return
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def stream(self, answer: Answer, pieces: tuple[bytes, ...]) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if answer.pause and self.server.stop.wait(answer.pause):
                break
        if answer.end == "clean":
            self.wfile.write(b"0\r\n\r\n")
        elif answer.end == "truncated":
            self.close_connection = True
        else:
            self.reset()

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def finish(self) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            super().finish()

    def log_message(self, *_: Any) -> None:
        pass


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, respond: Respond) -> None:
        self.respond = respond
        self.seen: list[Seen] = []
        self.stop = threading.Event()
        super().__init__((host, 0), _Handler)

    def handle_error(self, *_: Any) -> None:
        pass  # clients that hang up are what some tests are about


@contextmanager
def serve(respond: Respond, host: str = "127.0.0.1") -> Iterator[Server]:
    """Runs a server that answers each request with `respond`."""
    with _Http(host, respond) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield Server(port=http.server_address[1], seen=http.seen)
        finally:
            http.stop.set()
            http.shutdown()
            thread.join()


def json_answer(value: Any, status: int = 200, **headers: str) -> Answer:
    """An answer of JSON; underscores in the names of `headers` stand for dashes."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(
        status=status,
        headers={"Content-Type": "application/json", **named},
        body=json.dumps(value).encode(),
    )


# ---- OpenAI's protocol ------------------------------------------------------------------------------


def chunk(delta: Mapping[str, Any] | None, finish: str | None = None, **more: Any) -> bytes:
    """One event of a streamed chat completion."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "mock-1"}
    return b"data: " + json.dumps({**head, "choices": choices, **more}).encode() + b"\n\n"


USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
DONE = b"data: [DONE]\n\n"
EVENTS = {"Content-Type": "text/event-stream; charset=utf-8"}


def said(*texts: str, finish: str = "stop") -> Answer:
    """A streamed answer of `texts`, with usage, as OpenAI sends it."""
    pieces = [chunk({"role": "assistant", "content": "", "refusal": None})]
    pieces += [chunk({"content": text}) for text in texts]
    pieces += [chunk({}, finish), chunk(None, usage=USAGE), DONE]
    return Answer(headers=EVENTS, pieces=tuple(pieces))


def called(*calls: tuple[str, str, str]) -> Answer:
    """A streamed answer that calls tools: (id, name, arguments), the arguments in two pieces."""
    pieces = [chunk({"role": "assistant", "content": None})]
    for index, (call_id, name, arguments) in enumerate(calls):
        opening = {"index": index, "id": call_id, "type": "function"}
        opening["function"] = {"name": name, "arguments": ""}
        pieces.append(chunk({"tool_calls": [opening]}))
        half = len(arguments) // 2
        for part in (arguments[:half], arguments[half:]):
            pieces.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]}))
    pieces += [chunk({}, "tool_calls"), chunk(None, usage=USAGE), DONE]
    return Answer(headers=EVENTS, pieces=tuple(pieces))


def embedded(seen: Seen) -> Answer:
    """Vectors for the strings of an embeddings request, in reverse order: the index says which is whose."""
    entries = [
        {"object": "embedding", "index": index, "embedding": [float(len(text)), 0.5]}
        for index, text in enumerate(seen.json["input"])
    ]
    return json_answer({"object": "list", "data": entries[::-1], "model": "m", "usage": {}})


def failed(status: int, message: str, code: str | None = None, **headers: str) -> Answer:
    """An error as OpenAI sends it."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return json_answer({"error": error}, status, **headers)


# ---- MediaWiki --------------------------------------------------------------------------------------


def wiki(seen: Seen) -> Answer:
    """A MediaWiki API with one article, "Tea" (page 42)."""
    if seen.query.get("list") == "search":
        hits = [{"ns": 0, "title": "Tea", "pageid": 42}] if "tea" in seen.query["srsearch"] else []
        return json_answer({"batchcomplete": True, "query": {"search": hits}})
    if seen.query.get("pageids") != "42":
        return json_answer({"query": {"pages": [{"pageid": 1, "missing": True}]}})
    page: dict[str, Any] = {
        "pageid": 42,
        "ns": 0,
        "title": "Tea",
        "extract": "Tea is a drink.\n\n\n== History ==",
    }
    if seen.query.get("exintro"):
        page |= {"extract": "Tea is a drink.", "description": "hot drink", "pagelanguage": "en"}
        page |= {"fullurl": "https://en.wikipedia.org/wiki/Tea"}
    return json_answer({"query": {"pages": [page]}})
