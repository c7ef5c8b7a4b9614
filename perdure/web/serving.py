"""Serves the page and the API on a port, until asked to stop."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from perdure.agents.agent import Agent
from perdure.client import GraphClient
from perdure.errors import UsageError
from perdure.web.access import TOKEN_FILE, WEB_PORT_ID, announced, page_link, token_of
from perdure.web.app import application

GRACE_S: Final = 2
"""Seconds that open event streams have to end."""


@dataclass(frozen=True, slots=True)
class WebServer:
    """A server that accepts requests. `link` opens the page, with the token in its fragment."""

    url: str
    token: str
    token_file: Path

    @property
    def link(self) -> str:
        """For a browser: the fragment is neither sent nor logged."""
        return page_link(self.url, self.token)


class _Server(uvicorn.Server):
    """One that leaves signals to its caller."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Captures none."""
        yield


@asynccontextmanager
async def serving(
    client: GraphClient,
    *,
    host: str = "127.0.0.1",
    port: int | None = 0,
    page: bool = True,
    agents: Mapping[str, Agent] | None = None,
) -> AsyncGenerator[WebServer]:
    """Serves while the block runs. With port 0 the system chooses one, with None only if 8321 is taken.

    Raises UsageError where the port is taken.
    """
    home = client.settings.home
    token = token_of(home)

    def make(hosts: Sequence[str]) -> ASGIApp:
        return application(client, token, hosts, page=page, agents=agents)

    async with listening(make, host, port) as (url, actual):
        with announced(home, url, actual) if page else nullcontext():
            yield WebServer(url, token, home / TOKEN_FILE)


@asynccontextmanager
async def listening(
    make: Callable[[Sequence[str]], ASGIApp], host: str, port: int | None
) -> AsyncGenerator[tuple[str, int]]:
    """Serves what `make` gives for the values of Host under which it is reached; yields its URL and port."""
    listener = _usual_listener(host) if port is None else _listener(host, port)
    actual = listener.getsockname()[1]
    config = uvicorn.Config(
        make([f"{name}:{actual}" for name in sorted(_names(host))]),
        log_config=None,
        access_log=False,
        lifespan="on",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)
    task = asyncio.ensure_future(server.serve([listener]))
    try:
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        yield f"http://{_in_url(host)}:{actual}", actual
    finally:
        server.should_exit = True
        await task


def _names(host: str) -> set[str]:
    """The names of this server in the header Host, for the address that it listens on."""
    loopback = {"127.0.0.1", "localhost", "[::1]"}
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return {host, socket.gethostname()}
    if address.is_loopback:
        return {_in_url(host), *loopback}
    if address.is_unspecified:  # all addresses of this machine, of which it knows these
        return {*loopback, socket.gethostname(), *map(_in_url, _own_addresses())}
    return {_in_url(host), socket.gethostname()}


def _own_addresses() -> set[str]:
    try:
        entries = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {str(entry[4][0]).partition("%")[0] for entry in entries}


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _usual_listener(host: str) -> socket.socket:
    try:
        return _listener(host, WEB_PORT_ID)
    except UsageError:
        return _listener(host, 0)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror}", hint="choose another --port"
        ) from error
    return listener
