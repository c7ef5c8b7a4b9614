import asyncio
import base64
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import openai
import pytest
from openai import OpenAI

from perdure import daemon, local
from perdure.errors import FinalError
from perdure.settings import Settings

pytestmark = pytest.mark.models

JSON = {"Content-Type": "application/json"}
HELLO = [{"role": "user", "content": "Say hello to Bob"}]
DOCUMENT = (
    "Using the following document, The harbour of Elmstadt was founded in 1432 by the merchant "
    "Agnes Holt, who traded salt for silver.\n\nWho founded the harbour of Elmstadt?"
)


@pytest.fixture(scope="module")
def client(base_url: str) -> Iterator[OpenAI]:
    with asking(base_url, max_retries=0, timeout=120) as client:
        yield client


def asking(place: str, **options: Any) -> OpenAI:
    """A client with the key that is the password in the URL of the models."""
    parts = urlsplit(place)
    url = f"http://{parts.hostname}:{parts.port}{parts.path}"
    return OpenAI(base_url=url, api_key=parts.password or "", **options)


def authorized(place: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {urlsplit(place).password}"}


def say(client: OpenAI, content: str, **options: object) -> str:
    messages = [{"role": "user", "content": content}]
    answer = client.chat.completions.create(model="gpt-4o", messages=messages, **options)
    return answer.choices[0].message.content


def test_lists_its_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["smollm2-135m-instruct", "all-minilm-l6-v2"]


def test_answers_under_its_own_name_and_the_same_each_time(client: OpenAI) -> None:
    def ask() -> openai.types.chat.ChatCompletion:
        return client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": DOCUMENT}]
        )

    answer = ask()
    assert answer.model == "smollm2-135m-instruct"
    assert "Agnes Holt" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    say(client, "Using the following document, something else", max_tokens=3)
    assert ask().choices[0].message.content == answer.choices[0].message.content


def test_streams_the_same_words_with_usage(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="gpt-4o", messages=HELLO, max_tokens=20)
    pieces = list(
        client.chat.completions.create(
            model="gpt-4o", messages=HELLO, max_tokens=20, stream=True, stream_options={"include_usage": True}
        )
    )
    texts = [piece.choices[0].delta.content or "" for piece in pieces if piece.choices]
    assert "".join(texts) == whole.choices[0].message.content
    assert len(texts) > 10
    assert {piece.model for piece in pieces} == {"smollm2-135m-instruct"}
    assert pieces[-1].usage
    assert pieces[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_keeps_to_a_json_schema(client: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 20},
            "year": {"type": "integer", "maximum": 2000},
        },
        "required": ["name", "year"],
        "additionalProperties": False,
    }
    text = say(
        client,
        DOCUMENT,
        max_tokens=100,
        response_format={"type": "json_schema", "json_schema": {"name": "founding", "schema": schema}},
    )
    data = json.loads(text)
    assert data.keys() == {"name", "year"}
    assert isinstance(data["year"], int)


def test_completes_text(client: OpenAI) -> None:
    answer = client.completions.create(model="any", prompt="One, two, three,", max_tokens=5)
    assert (answer.model, answer.choices[0].finish_reason) == ("smollm2-135m-instruct", "length")


def test_answers_parallel_requests_one_by_one(client: OpenAI) -> None:
    names = ["Bob", "Ann", "Bob", "Ann"]

    def greet(name: str) -> str:
        return say(client, f"Say hello to {name}", max_tokens=25)

    alone = {name: greet(name) for name in set(names)}
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(greet, names)) == [alone[name] for name in names]


def test_stops_for_a_client_that_went_away(client: OpenAI, base_url: str) -> None:
    """It would write for minutes; the next client would run into its timeout."""
    host, port = urlsplit(base_url).hostname, urlsplit(base_url).port
    body = json.dumps({"messages": HELLO, "max_tokens": 8000, "ignore_eos": True})
    for stream in (False, True):
        connection = HTTPConnection(host or "", port, timeout=30)
        text = json.dumps({**json.loads(body), "stream": stream})
        connection.request("POST", "/v1/chat/completions", text, {**JSON, **authorized(base_url)})
        if stream:
            connection.getresponse().read(100)
        else:
            time.sleep(0.3)  # it writes by now; had it not begun, the test would pass all the more
        connection.close()
        assert say(client.with_options(timeout=60), "Say hello", max_tokens=2)


def test_embeds(client: OpenAI) -> None:
    texts = ["The cat sits on the mat.", "A kitten rests on a rug.", "Interest rates rose in March."]
    answer = client.embeddings.create(model="text-embedding-3-small", input=texts)  # asks for base64
    vectors = np.array([row.embedding for row in answer.data])
    assert answer.model == "all-minilm-l6-v2"
    assert [row.index for row in answer.data] == [0, 1, 2]
    assert vectors.shape == (3, 384)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 26
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > 0.5 > 0.2 > cosines[0, 2]

    plain = client.embeddings.create(
        model="text-embedding-3-small", input=texts[0], encoding_format="float", dimensions=384
    )
    np.testing.assert_allclose(plain.data[0].embedding, vectors[0], atol=1e-6)


def test_says_what_is_wrong_with_a_request(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"reads 8192.*tokenBoundStringsAgent") as caught:
        say(client, "word " * 9000)
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError, match="vectors have 384"):
        client.embeddings.create(model="text-embedding-3-small", input="a", dimensions=256)
    with pytest.raises(openai.BadRequestError, match="max_tokens"):
        say(client, "a", max_tokens="many")
    with pytest.raises(openai.NotFoundError, match="no such path: POST /v1/images/generations"):
        client.images.generate(prompt="a cat")


REFUSED = {
    "another user": ("POST", "/v1/embeddings", {**JSON, "Authorization": ""}, 401),
    "another key": ("GET", "/v1/models", {"Authorization": "Bearer x"}, 401),
    "another host's name": ("POST", "/v1/embeddings", {**JSON, "Host": "evil.example"}, 403),
    "a web page": ("POST", "/v1/embeddings", {**JSON, "Origin": "http://evil.example"}, 403),
    "a web page's form": ("POST", "/v1/embeddings", {"Content-Type": "text/plain"}, 415),
    "a preflight": ("OPTIONS", "/v1/embeddings", {"Origin": "http://evil.example"}, 501),
    "too much": ("POST", "/v1/embeddings", {**JSON, "Content-Length": str(1 << 40)}, 413),
    "no length": ("POST", "/v1/embeddings", {**JSON, "Transfer-Encoding": "chunked"}, 411),
    "no such path": ("GET", "/", {}, 404),
    "no JSON": ("POST", "/v1/embeddings", JSON, 400),
}


@pytest.mark.parametrize(("method", "path", "headers", "status"), REFUSED.values(), ids=REFUSED)
def test_refuses(base_url: str, method: str, path: str, headers: dict[str, str], status: int) -> None:
    place = urlsplit(base_url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in {**authorized(base_url), **headers}.items():
        connection.putheader(name, value)
    if method == "POST" and not {"Content-Length", "Transfer-Encoding"} & headers.keys():
        connection.putheader("Content-Length", "1")
        connection.endheaders(b"x")
    else:
        connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == status
    assert answer.headers.get("Access-Control-Allow-Origin") is None
    connection.close()


def test_serves_loopback_only(base_url: str) -> None:
    port = urlsplit(base_url).port or 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; shows the address that others know
        address = probe.getsockname()[0]
    with pytest.raises(OSError, match=r"refused|timed out"):
        socket.create_connection((address, port), timeout=2)


def test_is_shared_ends_when_idle_and_starts_again(home: Path) -> None:
    settings = Settings(home=home)

    async def both() -> list[str]:
        return await asyncio.gather(*(local.ensure(settings, idle=1.5) for _ in range(2)))

    first, second = asyncio.run(both())
    assert first == second
    deadline = time.monotonic() + 30
    while daemon.running(home / "models", "smollm2"):
        assert time.monotonic() < deadline, (home / "models" / "smollm2.log").read_text()
        time.sleep(0.1)
    assert "not used for 1.5 s" in (home / "models" / "smollm2.log").read_text()

    with asking(asyncio.run(local.ensure(settings))) as client:
        vector = client.embeddings.create(model="any", input="a", encoding_format="base64").data[0].embedding
    assert len(base64.b64decode(str(vector))) == 4 * 384
    assert local.stop(settings)
    assert not local.stop(settings)


def test_a_file_that_is_no_model_is_named(home: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    settings = Settings(home=home, local_model=str(broken))
    with pytest.raises(
        FinalError, match=r"ended while it started(?s:.*)broken\.gguf: llama\.cpp cannot load"
    ):
        asyncio.run(local.ensure(settings))
