"""The codec server: what it shows, and to whom."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx2
import pytest
from temporalio.api.common.v1 import Payload

from perdure.protocol.payload_codec import KeyedCodec
from perdure.settings.key_ring import KeyRing
from perdure.web.codec_app import codec_application

pytestmark = pytest.mark.anyio

RING = KeyRing(keys={"k1": b"x" * 32})
HOST, UI, TOKEN = "127.0.0.1:8322", "http://127.0.0.1:8233", "t0ken"
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


async def asked(method: str, path: str, content: Any = b"", **headers: str) -> httpx2.Response:
    """The response to one request; None for a header leaves it out."""
    app = codec_application(KeyedCodec(RING), TOKEN, [HOST], [UI])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=f"http://{HOST}") as client:
        return await client.request(method, path, content=content, headers=headers)


def plain(payload: Payload) -> dict[str, Any]:
    metadata = {key: base64.b64encode(value).decode() for key, value in payload.metadata.items()}
    return {"metadata": metadata, "data": base64.b64encode(payload.data).decode()}


def body(*payloads: Payload) -> str:
    return json.dumps({"payloads": [plain(payload) for payload in payloads]})


def values(response: httpx2.Response) -> list[Any]:
    return [json.loads(base64.b64decode(payload["data"])) for payload in response.json()["payloads"]]


@pytest.mark.parametrize("mode", ["mac", "aead"])
async def test_it_shows_what_this_installation_wrote(mode: Any) -> None:
    if mode == "aead":
        pytest.importorskip("cryptography", reason="of the extra perdure[aead]")
    original = Payload(metadata={"encoding": b"json/plain"}, data=b'{"a": 1}')
    (sealed,) = await KeyedCodec(RING, mode, b"default|run-1").encode([original])
    altered = Payload(metadata=sealed.metadata, data=sealed.data + b" ")
    response = await asked("POST", "/decode", body(sealed, altered, original), **AUTHORIZED)
    assert response.status_code == 200
    assert values(response) == [
        {"a": 1},
        "not shown: it was not written with a key of this installation",
        {"a": 1},  # of another application
    ]


REFUSED: dict[str, tuple[int, str, str, bytes, dict[str, str]]] = {
    "no token": (401, "POST", "/decode", b"{}", {}),
    "another token": (401, "POST", "/decode", b"{}", {"authorization": "Bearer other"}),
    "a foreign page": (403, "POST", "/decode", b"{}", {**AUTHORIZED, "origin": "http://evil.example"}),
    "a foreign page asks first": (403, "OPTIONS", "/decode", b"", {"origin": "http://evil.example"}),
    "a name that is rebound": (421, "POST", "/decode", b"{}", {**AUTHORIZED, "host": "evil.example:8322"}),
    "encode": (403, "POST", "/encode", b"{}", AUTHORIZED),
    "no JSON": (400, "POST", "/decode", b"{", AUTHORIZED),
    "deep JSON": (400, "POST", "/decode", b"[" * 100_000, AUTHORIZED),
    "no payloads": (400, "POST", "/decode", b'{"payloads": 5}', AUTHORIZED),
    "another path": (404, "GET", "/", b"", AUTHORIZED),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_who_may_not(name: str) -> None:
    status, method, path, content, headers = REFUSED[name]
    response = await asked(method, path, content, **headers)
    assert response.status_code == status
    assert "access-control-allow-origin" not in response.headers


async def test_a_page_of_an_allowed_origin_may() -> None:
    first = await asked("OPTIONS", "/decode", origin=UI)
    assert (first.status_code, first.headers["access-control-allow-origin"]) == (204, UI)
    response = await asked("POST", "/decode", body(), origin=UI, **AUTHORIZED)
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, UI)


async def test_a_body_has_an_end() -> None:
    response = await asked("POST", "/decode", b" " * 16_000_001, **AUTHORIZED)
    assert response.status_code == 413

    async def pieces() -> Any:
        yield b"["
        yield b" " * 16_000_000

    assert (await asked("POST", "/decode", pieces(), **AUTHORIZED)).status_code == 400
