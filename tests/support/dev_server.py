"""A development server that was not prepared for Perdure, and lets runs be paused."""

import asyncio
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RPCError

from perdure import server
from perdure.daemon.ports import free_port
from perdure.plugin import GraphPlugin

START_S = 180.0


@asynccontextmanager
async def development_server(home: Path) -> AsyncGenerator[tuple[Client, str]]:
    """A client of it, and its address."""
    address = f"127.0.0.1:{free_port()}"
    command = [
        *(str(server.find()), "server", "start-dev", "--headless", "--ip", "127.0.0.1"),
        *("--port", address.rpartition(":")[2], "--log-level", "never"),
        *("--dynamic-config-value", "frontend.WorkflowPauseEnabled=true"),
    ]
    process = subprocess.Popen(command, cwd=home, stdout=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(START_S):
            temporal = await _connected(address)
        yield temporal, address
    finally:
        process.terminate()
        process.wait()


async def _connected(address: str) -> Client:
    """A client, as soon as the server replies."""
    while True:
        try:
            client = await Client.connect(address, plugins=[GraphPlugin()])
            await client.count_workflows()
        except (RuntimeError, RPCError):
            await asyncio.sleep(0.05)
        else:
            return client
