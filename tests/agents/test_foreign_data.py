"""What comes from elsewhere is counted before it costs memory: pages, files, chunks, values in a text."""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.agent import AgentContext
from perdure.agents.llm import openai_client
from perdure.agents.llm.agents import openai_chat
from perdure.agents.shipped.fetch import vanilla_fetch
from perdure.agents.shipped.fetch_xml import parse as parse_xml
from perdure.agents.shipped.files import file_read
from perdure.agents.shipped.strings import string_splitter
from perdure.errors import AgentError, FunctionError, SizeExceeded
from perdure.graph.javascript import parse
from perdure.graph.reference import parse_reference
from perdure.settings import Settings
from tests.support.servers import Answer, Server, serve

GZIP = {"Content-Encoding": "gzip"}
PAGE = gzip.compress(b"[" + b",".join([b"[]"] * 6_600_000) + b"]")
"""19 KB, of which 20 MB come, and from those a gigabyte of lists."""


async def fetched(server: Server, params: dict[str, Any] | None = None) -> Any:
    context = AgentContext(settings=Settings(allow_hosts=(server.host,)))
    return await vanilla_fetch({"url": server.url}, params or {}, context)


def test_values_of_a_json_text() -> None:
    assert len(parse("[" + ",".join(["1"] * 999_999) + "]")) == 999_999
    assert parse('["' + "," * 3_000_000 + '"]') == ["," * 3_000_000]
    for text in ("[" + ",".join(["1"] * 1_000_001) + "]", "[" + ",".join(["[]"] * 600_000) + "]"):
        with pytest.raises(ValueError, match="more than 1,000,000 values"):
            parse(text)


def test_parts_of_a_text() -> None:
    reference = parse_reference(":n.split(,)")
    assert reference is not None
    assert len(reference.read("," * 999_999)) == 1_000_000
    with pytest.raises(FunctionError, match=r"split\(\) into more than 1,000,000 parts"):
        reference.read("," * 1_000_000)


def test_elements_of_xml() -> None:
    assert len(parse_xml("<a>" + "<b/>" * 199_999 + "</a>")["a"]["b"]) == 199_999
    for text in ("<a>" + "<b/>" * 200_000 + "</a>", "<a>" + "<b c=''/>" * 100_000 + "</a>"):
        with pytest.raises(AgentError, match="more than 200,000 elements"):
            parse_xml(text)


def test_chunks_that_overlap() -> None:
    with pytest.raises(SizeExceeded):
        string_splitter({"text": "x" * 200_000}, {"chunkSize": 100_000, "overlap": 99_999})


def test_the_same_file_many_times(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(19_000_000)
    context = AgentContext(settings=Settings(file_root=str(tmp_path)))
    with pytest.raises(SizeExceeded):
        file_read({"array": ["large"] * 1_000}, {"baseDir": ".", "outputType": "text"}, context)


@pytest.mark.anyio
async def test_a_page_of_lists_is_refused_before_it_is_built() -> None:
    with serve(lambda _: Answer(headers=GZIP, body=PAGE)) as server:
        tracemalloc.start()
        try:
            with pytest.raises(AgentError, match="decompresses to 200 times its size"):
                await fetched(server)
            assert tracemalloc.get_traced_memory()[1] < 100_000_000
        finally:
            tracemalloc.stop()


@pytest.mark.anyio
async def test_ten_large_pages_at_once_do_not_stop_the_loop() -> None:
    rows = b"[" + b",".join(b'{"n":%d}' % number for number in range(200_000)) + b"]"
    with serve(lambda _: Answer(headers=GZIP, body=gzip.compress(rows, 1))) as server:
        work = asyncio.gather(*(fetched(server) for _ in range(10)))
        beats = 0
        while not work.done():
            await asyncio.sleep(0.01)
            beats += 1
        assert [len(rows) for rows in await work] == [200_000] * 10
        assert beats > 10


@pytest.mark.anyio
async def test_chunks_of_a_byte() -> None:
    with serve(lambda _: Answer(pieces=(b"x",) * 20_000)) as server:
        began = time.monotonic()
        with pytest.raises(AgentError, match="chunks of a few bytes"):
            await fetched(server)
        assert time.monotonic() - began < 60


@pytest.fixture
async def _clients() -> AsyncIterator[None]:
    yield
    await openai_client.close_clients()


@pytest.mark.anyio
@pytest.mark.usefixtures("_clients")
async def test_a_stream_of_comments_ends() -> None:
    pieces = (b": c\n\n" * 10_000,) * 100
    with serve(lambda _: Answer(headers={"Content-Type": "text/event-stream"}, pieces=pieces)) as server:
        settings = Settings(keys={"openai": "k"}, base_urls={"openai": f"{server.url}/v1"})
        with pytest.raises(AgentError, match=r"has sent 1,0\d\d,\d+ bytes of lines without data"):
            await openai_chat({"prompt": "x"}, {"stream": True}, AgentContext(agent="x", settings=settings))


@pytest.mark.anyio
@pytest.mark.usefixtures("_clients")
async def test_the_operators_models_are_bounded_as_well() -> None:
    comment = b":" + b" " * 10_000_000 + b"\n\n"
    with serve(
        lambda _: Answer(headers={"Content-Type": "text/event-stream"}, pieces=(comment,) * 6)
    ) as server:
        settings = Settings(keys={"openai": "k"}, base_urls={"openai": f"{server.url}/v1"})
        with pytest.raises(AgentError, match="larger than 50,000,000"):
            await openai_chat({"prompt": "x"}, {}, AgentContext(agent="openAIAgent", settings=settings))


@pytest.mark.anyio
@pytest.mark.usefixtures("_clients")
async def test_a_model_that_answers_too_deeply() -> None:
    headers = {"Content-Type": "application/json"}
    with serve(lambda _: Answer(headers=headers, body=b"[" * 500_000)) as server:
        settings = Settings(keys={"openai": "k"}, base_urls={"openai": f"{server.url}/v1"})
        with pytest.raises(AgentError, match="it is nested too deeply"):
            await openai_chat({"prompt": "x"}, {}, AgentContext(agent="openAIAgent", settings=settings))
