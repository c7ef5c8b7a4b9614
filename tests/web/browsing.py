"""A server, the page and Chromium, for the commands that look at the page."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from perdure import server
from perdure.client import GraphClient
from perdure.settings import Settings
from perdure.web.serving import WebServer, serving
from tests.support.durable import connected


@asynccontextmanager
async def browsing() -> AsyncGenerator[tuple[GraphClient, WebServer, Browser]]:
    """All of it ends with the block, and so does the folder of the server's data."""
    chromium = shutil.which("chromium") or sys.exit("no Chromium here: apt-get install chromium")
    with tempfile.TemporaryDirectory() as home:
        try:
            async with (
                connected(Path(home)) as client,
                serving(client) as web,
                async_playwright() as playwright,
            ):
                browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                yield client, web, browser
                await browser.close()
        finally:
            server.stop(Settings(home=Path(home)))
