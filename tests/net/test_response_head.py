"""What a server may send before its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from perdure.errors import AgentError
from perdure.net.egress import Guard, GuardedTransport
from perdure.net.response_head import HEAD_READ_BYTES, MAX_RESPONSE_HEAD_BYTES

HINT = b"HTTP/1.1 103 Early Hints\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5_000


@asynccontextmanager
async def server(*pieces: bytes, endless: bytes = b"") -> AsyncIterator[str]:
    """One that sends these pieces to each request, and then the endless one until the client hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                for piece in pieces:
                    writer.write(piece)
                while endless:
                    writer.write(endless)
                    await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"


def client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=GuardedTransport(Guard.of(["127.0.0.1"]), keep_alive=True), timeout=60, trust_env=False
    )


@pytest.mark.anyio
async def test_interim_responses_end() -> None:
    async with server(endless=HINT * 100) as url, client() as web:
        with pytest.raises(AgentError, match=r"the server sends 1,00\d,\d+ bytes before its answer"):
            await web.get(url)


@pytest.mark.anyio
async def test_a_few_are_passed_over_and_each_request_has_its_own_count() -> None:
    many = HINT * (MAX_RESPONSE_HEAD_BYTES // len(HINT) // 2)
    assert len(many) > 10 * HEAD_READ_BYTES
    async with server(many, ANSWER) as url, client() as web:
        for _ in range(3):
            answer = await web.get(url)
            assert (answer.status_code, len(answer.content)) == (200, 5_000)
