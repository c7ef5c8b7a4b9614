"""What the tests with workers of their own share; each module says which `crew` it has."""

from collections.abc import AsyncIterator

import pytest

from perdure.client import GraphClient, connect
from perdure.settings import Settings
from tests.support.processes import Crew


@pytest.fixture
async def client(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GraphClient]:
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(crew.home / "none.toml"))
    client = await connect(Settings(home=crew.home))
    yield client
    client.close()
