"""The local models behind one port that speaks OpenAI's API: ``python -m perdure.local.server``.

It serves GET /v1/models and POST /v1/embeddings, /v1/chat/completions and /v1/completions, on
loopback only. Whatever model a request names, the local ones answer, and say who they are. It ends
by itself when it is idle for a while.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from perdure.daemon import retire
from perdure.errors import PerdureError
from perdure.local import api, chat, proxy
from perdure.local.fetch import verify
from perdure.local.models import MINILM, Model, chat_model, key_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from perdure.local.embeddings import MiniLM

MAX_REQUEST_BYTES = 32 << 20
"""Bytes of a request's body: 2,048 chunks of a document fit many times."""

GENERATING = ("/v1/chat/completions", "/v1/completions")


class Service(ThreadingHTTPServer):
    """The models and who uses them. Loads the chat model at once, the one for embeddings on first use.

    Each file is compared with its SHA-256 before it is loaded.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, model: Model, folder: Path, threads: int) -> None:
        super().__init__(("127.0.0.1", port), Handler, bind_and_activate=False)
        self.model = model
        self.folder = folder
        self.key = key_of(folder)
        self._busy = 0
        self._used = time.monotonic()
        self._count = threading.Lock()
        self._embedding = threading.Lock()
        self._minilm: MiniLM | None = None
        try:
            self.server_bind()
            verify(model, folder)
            # Listening begins when there is something to say: until then connections are refused.
            self.chat = chat.start(model.weights(folder), model.title, threads)
            self.server_activate()
        except BaseException:
            self.server_close()
            raise
        self.hosts = {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}

    def server_bind(self) -> None:
        """Bind without asking the name service who 127.0.0.1 is, as HTTPServer would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    @contextmanager
    def use(self) -> Generator[None]:
        """The service is in use for as long as the context lasts."""
        with self._count:
            self._busy += 1
        try:
            yield
        finally:
            with self._count:
                self._busy -= 1
                self._used = time.monotonic()

    def idle(self) -> float:
        """Seconds since the last request was answered; 0 while there is one."""
        with self._count:
            return 0.0 if self._busy else time.monotonic() - self._used

    def embed(self, request: api.EmbeddingRequest) -> api.Json:
        """The answer to a request for embeddings."""
        from perdure.local.embeddings import MiniLM  # noqa: PLC0415 -- most runs never need NumPy here

        with self._embedding:  # one at a time: each uses every thread and its share of memory
            if self._minilm is None:
                if not MINILM.is_fetched(self.folder):
                    raise api.RequestRefused(
                        f"{MINILM.place(self.folder)} is gone; hint: stop this server, the next start "
                        "fetches it again",
                        status=404,
                        code="model_not_found",
                    )
                try:
                    verify(MINILM, self.folder)
                except PerdureError as error:
                    raise api.RequestRefused(str(error), status=404, code="model_not_found") from error
                self._minilm = MiniLM(MINILM.place(self.folder))
            embedded = self._minilm.embed(request.texts)
        return api.embedding_answer(embedded, MINILM.title, as_base64=request.base64)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Service  # type: ignore[assignment] -- the only server that makes handlers of this class
    protocol_version = "HTTP/1.1"
    server_version = "perdure"
    sys_version = ""
    timeout = 120  # a client that stops reading or writing in the middle of something
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests are recorded by who makes them."""

    def do_GET(self) -> None:
        """Answer GET."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Answer POST."""
        self._answer(self._post)

    def _answer(self, method: Any) -> None:
        with self.server.use():
            try:
                headers = {name.lower(): value for name, value in self.headers.items()}
                api.admit(headers, self.server.hosts, self.server.key)
                method(urlsplit(self.path).path.rstrip("/"))
            except api.RequestRefused as error:
                self.close_connection = True  # the body may not have been read
                self._send(error.status, {"error": error.error})
            except (ConnectionError, TimeoutError):
                self.close_connection = True  # no reader is left

    def _get(self, path: str) -> None:
        if path != "/v1/models":
            raise _no_such_path("GET", path)
        self._send(200, api.model_list(self.server.model.title, MINILM.title))

    def _post(self, path: str) -> None:
        if path not in (*GENERATING, "/v1/embeddings"):
            raise _no_such_path("POST", path)
        request = api.parse(self._body())
        if path == "/v1/embeddings":
            from perdure.local.embeddings import EMBEDDING_SIZE  # noqa: PLC0415 -- as in Service.embed

            self._send(200, self.server.embed(api.embedding_request(request, EMBEDDING_SIZE)))
            return
        title = self.server.model.title
        proxy.forward(
            self, self.server.chat, path, json.dumps(api.generation(request, title)).encode(), title
        )

    def _body(self) -> bytes:
        # A page of another site cannot send this type without asking first, and is not answered then.
        if self.headers.get_content_type() != "application/json":
            raise api.RequestRefused("the Content-Type is not application/json", status=415)
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise api.RequestRefused("the request has no Content-Length", status=411)
        if int(length) > MAX_REQUEST_BYTES:
            raise api.RequestRefused(
                f"the body has {length} bytes, more than {MAX_REQUEST_BYTES}", status=413
            )
        return self.rfile.read(int(length))

    def _send(self, status: int, answer: api.Json) -> None:
        proxy.send(self, status, json.dumps(answer).encode())


def _no_such_path(method: str, path: str) -> api.RequestRefused:
    return api.RequestRefused(f"no such path: {method} {path}", status=404, code="unknown_url")


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def serve(arguments: argparse.Namespace) -> None:
    """Serve until the models were idle for `idle` seconds. Prints what a reader of the log needs."""
    model, folder = chat_model(arguments.model), arguments.home / "models"
    # One core stays free: threads that wait for one another on a busy core are ten times slower.
    threads = max(1, min(8, _cores() - 1))
    # Read by the libraries when they load: threads that wait must not spin on cores that others need.
    os.putenv("OMP_WAIT_POLICY", "passive")
    os.putenv("OPENBLAS_NUM_THREADS", str(threads))
    with Service(arguments.port, model, folder, threads) as service:
        _log(f"{model.title} at http://127.0.0.1:{service.server_port}/v1, {threads} threads")
        if arguments.idle:
            watch = (service, folder, model.name, arguments.idle)
            threading.Thread(target=_end_when_idle, args=watch, daemon=True).start()
        service.serve_forever()


def _end_when_idle(service: Service, folder: Path, name: str, limit: float) -> None:
    while service.idle() < limit or not retire(folder, name):
        time.sleep(min(1.0, limit / 4))
    _log(f"not used for {limit:g} s: ends")
    service.shutdown()


def _log(line: str) -> None:
    print(line, flush=True)  # noqa: T201 -- standard output is this process's log


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m perdure.local.server", description="Serve the local models."
    )
    parser.add_argument("--home", type=Path, required=True, help="the folder of Perdure's data")
    parser.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1 (default: any free one)")
    parser.add_argument("--model", default="smollm2", help="smollm2, qwen2.5-coder-0.5b or a GGUF file")
    parser.add_argument("--idle", type=float, default=0.0, help="end after this many idle seconds (0: never)")
    arguments = parser.parse_args()
    try:
        serve(arguments)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(f"127.0.0.1:{arguments.port}: {(error.strerror or str(error)).lower()}")
    except (PerdureError, RuntimeError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
