"""One embedded server and one web server for the tests of the page and the API."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from perdure.client import GraphClient
from perdure.web.serving import WebServer, serving
from tests.support.durable import embedded


@pytest.fixture(scope="package")
async def client(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[GraphClient]:
    del anyio_backend
    async with embedded(tmp_path_factory.mktemp("home")) as connected:
        yield connected


@pytest.fixture(scope="package")
async def web(client: GraphClient) -> AsyncIterator[WebServer]:
    async with serving(client) as served:
        yield served


@pytest.fixture
async def api(web: WebServer) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": f"Bearer {web.token}"}
    async with httpx2.AsyncClient(base_url=f"{web.url}/api/v1", headers=headers, timeout=180) as http:
        yield http
