"""How the server is reached: no plain text by accident, and certificates that change while a run is open."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.service import ConnectConfig, TLSConfig

from perdure.agents.catalog import catalog
from perdure.client import GraphClient, connect
from perdure.errors import ConnectionFailed, UsageError
from perdure.settings import Settings
from perdure.transport import RenewableService, codec_for, codec_mode_for, is_plain, reach
from perdure.worker import WorkerOptions, build_worker
from tests.support.durable import embedded
from tests.support.tls_proxy import SERVER_NAME, issue, tls_proxy
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

ASKING = {
    "nodes": {
        "who": {"agent": "textInputAgent", "params": {"message": "Who?"}},
        "hi": {
            "agent": "stringTemplateAgent",
            "inputs": {"n": ":who.text"},
            "params": {"template": "Hi ${n}"},
            "isResult": True,
        },
    }
}


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[GraphClient]:
    del anyio_backend
    async with embedded(tmp_path_factory.mktemp("home")) as connected:
        yield connected


@pytest.mark.parametrize(
    ("config", "plain"),
    [
        ({}, False),
        ({"target_host": "127.0.0.1:7233"}, False),
        ({"target_host": "localhost:7233"}, False),
        ({"target_host": "[::1]:7233"}, False),
        ({"target_host": "temporal.example.com:7233", "tls": True}, False),
        ({"target_host": "temporal.example.com:7233", "api_key": "k"}, False),
        ({"target_host": "temporal.example.com:7233"}, True),
        ({"target_host": "temporal.example.com"}, True),
        ({"target_host": "10.0.0.3"}, True),
        ({"target_host": "[fd00::3]"}, True),
        ({"target_host": "[fd00::3]:7233"}, True),
        ({"target_host": "[::1]"}, False),
        ({"target_host": "localhost"}, False),
        ({"target_host": ":7233"}, True),
        ({"target_host": "localhost:1@10.0.0.3:7233"}, True),
        ({"target_host": "localhost.example.com:7233"}, True),
        ({"target_host": "127.0.0.1.example.com:7233"}, True),
        ({"target_host": "10.0.0.7:7233", "tls": False, "api_key": "k"}, True),
        ({"target_host": "http://10.0.0.7:7233", "tls": True}, True),
    ],
)
def test_what_is_plain_text(config: Any, plain: bool) -> None:
    assert is_plain(config) is plain


async def test_plain_text_beyond_this_host_takes_a_word() -> None:
    with pytest.raises(UsageError) as caught:
        await reach({"target_host": "temporal.invalid:7233"})
    assert caught.value.variable == "PERDURE_INSECURE"
    with pytest.raises(ConnectionFailed):
        await reach({"target_host": "temporal.invalid:7233"}, insecure=True)


async def test_no_key_goes_in_plain_text_beyond_this_host() -> None:
    with pytest.raises(UsageError, match="would be reached without TLS"):
        await reach({"target_host": "temporal.invalid:7233", "tls": False, "api_key": "k"}, insecure=True)


class Connected:
    """A connection that was made with certificates."""

    config = ConnectConfig("temporal.invalid:7233", tls=TLSConfig(), api_key="k", lazy=True)


@pytest.mark.parametrize(("tls", "renewed"), [(False, False), (True, True)])
async def test_a_connection_is_not_renewed_in_plain_text(tls: bool, renewed: bool) -> None:
    service = RenewableService(cast(Any, Connected()), lambda: {"tls": tls, "api_key": "other"})
    assert await service.renew() is renewed
    assert service.config.api_key == ("other" if renewed else "k")


def test_keys_sign_by_default_with_the_embedded_server_only(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    far = "temporal.example.com:7233"
    assert (codec_mode_for(settings), codec_mode_for(settings, far)) == ("mac", "off")
    assert (codec_for(settings, far), list(tmp_path.iterdir())) == (None, [])
    assert codec_for(settings) == codec_for(settings)
    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [
        ("payload.keys", 0o600)
    ]
    assert codec_for(Settings(home=tmp_path, codec="off")) is None


async def test_the_running_server_of_the_folder_is_the_embedded_one_by_its_address(
    client: GraphClient,
) -> None:
    assert client.embedded is not None
    settings = Settings(home=client.settings.home)
    assert codec_mode_for(settings, client.embedded.address) == "mac"


def trust(patch: pytest.MonkeyPatch, address: str, folder: Path) -> None:
    patch.setenv("TEMPORAL_ADDRESS", address)
    patch.setenv("TEMPORAL_TLS_SERVER_NAME", SERVER_NAME)
    patch.setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", str(folder / "ca.pem"))
    patch.setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", str(folder / "client.pem"))
    patch.setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", str(folder / "client.key"))


async def test_certificates_change_while_a_run_is_open(
    client: GraphClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, used = (tmp_path / name for name in ("old", "new", "used"))
    issue(old)
    issue(new)
    shutil.copytree(old, used)
    monkeypatch.setattr("perdure.transport.CERTIFICATE_POLL_INTERVAL_S", 0.2)
    async with tls_proxy(client.temporal.service_client.config.target_host, old) as proxy:
        trust(monkeypatch, proxy.address, used)
        async with await connect(client.settings) as far:
            options = WorkerOptions(agents=catalog(), settings=client.settings)
            async with build_worker(far.temporal, "tls", options):
                run = await far.start(ASKING, id="tls-open", queue="tls")
                await until(run.questions)
                (used / "client.pem").write_bytes((new / "client.pem").read_bytes())  # half of a change
                service = far.temporal.service_client
                assert isinstance(service, RenewableService)
                assert (await service.renew(), len(await run.questions())) == (False, 1)
                shutil.copytree(new, used, dirs_exist_ok=True)
                await proxy.serve(new)
                await until(lambda: answered(far), "the client has the new certificates")
                assert (await run.result()).results == {"hi": "Hi Anna"}
        trust(monkeypatch, proxy.address, old)
        with pytest.raises(ConnectionFailed, match="TEMPORAL_TLS_"):
            await connect(client.settings)


async def answered(client: GraphClient) -> bool:
    try:
        await client.get("tls-open").answer("who", "Anna")
    except ConnectionFailed:
        return False
    return True
