"""One embedded server for the tests of the workflow; a queue and a worker for each test."""

from collections.abc import AsyncIterator

import pytest

from perdure.client import GraphClient
from tests.support.durable import embedded


@pytest.fixture(scope="package")
async def client(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[GraphClient]:
    del anyio_backend
    async with embedded(tmp_path_factory.mktemp("home"), "off") as connected:
        yield connected
