"""The page and the HTTP API in the foreground, until a signal."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from perdure.cli import connection
from perdure.errors import UsageError
from perdure.settings import Settings
from perdure.version import installation

if TYPE_CHECKING:
    from perdure.agents.agent import Agent
    from perdure.client import GraphClient
    from perdure.protocol.payload_codec import KeyedCodec
    from perdure.web.serving import WebServer


def checked_host(host: str, *, exposed: bool) -> str:
    """`host`, if it is a loopback address or it was said that others may reach it. Raises UsageError."""
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback and not exposed:
        finding = f"{host} can be reached from other machines, over HTTP that anybody on the way can read"
        raise UsageError(
            finding, hint="put a proxy with TLS before 127.0.0.1, or say --expose if the network is yours"
        )
    return host


def _serving() -> Callable[..., AbstractAsyncContextManager[WebServer]]:
    """perdure.web.serving.serving. Raises UsageError without the extra."""
    try:
        from perdure.web.serving import serving  # noqa: PLC0415 -- the extra, and only here
    except ImportError as error:
        raise UsageError(f"the package {error.name} is missing", hint=installation("ui")) from error
    return serving


@asynccontextmanager
async def live_page(client: GraphClient) -> AsyncGenerator[str]:
    """Serves the page next to something else while the block runs: its link, or why there is none."""
    try:
        served = _serving()(client, port=None)
    except UsageError as error:
        yield f"none: {error.finding}; {error.hint}"
        return
    async with served as web:
        yield web.link


async def serve_codec(
    codec: KeyedCodec,
    token: str,
    origins: Sequence[str],
    *,
    host: str,
    port: int,
    ready: Callable[[str], None],
) -> int:
    """Decodes payloads until SIGINT or SIGTERM; `ready` receives the URL."""
    _serving()  # raises without the extra
    from perdure.web.codec_app import codec_application  # noqa: PLC0415 -- the extra, and only here
    from perdure.web.serving import listening  # noqa: PLC0415 -- likewise

    stopped = _until_signal()
    async with listening(lambda hosts: codec_application(codec, token, hosts, origins), host, port) as place:
        ready(place[0])
        await stopped.wait()
    return 0


def _until_signal() -> asyncio.Event:
    """What SIGINT and SIGTERM set from now on."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


async def serve(
    settings: Settings,
    server_start: connection.ServerStart | None,
    *,
    host: str,
    port: int | None,
    page: bool,
    agents: Mapping[str, Agent] | None = None,
    ready: Callable[[WebServer], None],
) -> int:
    """Serves until SIGINT or SIGTERM; `ready` is called when it does. `port` is as in `serving`."""
    serving = _serving()
    stopped = _until_signal()
    async with (
        connection.connected(settings, server_start) as client,
        serving(client, host=host, port=port, page=page, agents=agents) as web,
    ):
        ready(web)
        await stopped.wait()
    return 0
