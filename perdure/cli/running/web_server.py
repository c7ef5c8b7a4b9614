"""The page and the HTTP API in the foreground, until a signal."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from perdure.cli import connection
from perdure.errors import UsageError
from perdure.settings import Settings

if TYPE_CHECKING:
    from perdure.agents.agent import Agent
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


async def serve(
    settings: Settings,
    server_start: connection.ServerStart | None,
    *,
    host: str,
    port: int,
    page: bool,
    agents: Mapping[str, Agent] | None = None,
    ready: Callable[[WebServer], None],
) -> int:
    """Serves until SIGINT or SIGTERM. `ready` is called when requests are accepted."""
    try:
        from perdure.web.serving import serving  # noqa: PLC0415 -- the extra, and only here
    except ImportError as error:
        raise UsageError(
            f"the package {error.name} is missing", hint="install Perdure with its extra: perdure[ui]"
        ) from error
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with (
        connection.connected(settings, server_start) as client,
        serving(client, host=host, port=port, page=page, agents=agents) as web,
    ):
        ready(web)
        await stopped.wait()
    return 0
