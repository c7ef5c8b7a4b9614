import json
from typing import Any

import pytest

from perdure.local import api

PLAIN = {"temperature": 0, "seed": 0, "cache_prompt": False, "model": "local"}

GENERATIONS: dict[str, Any] = {
    "defaults": (
        {"model": "gpt-4o", "messages": []},
        {**PLAIN, "messages": [], "max_tokens": api.DEFAULT_ANSWER_TOKENS, "repeat_penalty": 1.1},
    ),
    "given": (
        {
            "temperature": 0.7,
            "seed": 5,
            "max_completion_tokens": 9,
            "repeat_penalty": 1,
            "cache_prompt": True,
        },
        {
            "temperature": 0.7,
            "seed": 5,
            "max_completion_tokens": 9,
            "repeat_penalty": 1,
            "cache_prompt": True,
            "model": "local",
        },
    ),
    "JSON may repeat itself": (
        {"response_format": {"type": "json_object"}, "max_tokens": 1},
        {**PLAIN, "response_format": {"type": "json_object"}, "max_tokens": 1},
    ),
}


@pytest.mark.parametrize(("request_", "asked"), GENERATIONS.values(), ids=GENERATIONS)
def test_generation_gives_the_same_answer_each_time_by_default(request_: api.Json, asked: api.Json) -> None:
    assert api.generation(request_, "local") == asked


def test_null_asks_for_the_default() -> None:
    assert api.parse(b'{"temperature": null, "n": 1}') == {"n": 1}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff"])
def test_a_body_is_a_json_object(body: bytes) -> None:
    with pytest.raises(api.RequestRefused, match="body is not"):
        api.parse(body)


def test_a_prompt_that_is_too_long_gets_a_hint() -> None:
    error = {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 8192}
    body = api.generation_error(json.dumps({"error": error}).encode(), "local")
    assert (body["code"], body["param"]) == ("context_length_exceeded", "messages")
    assert "9000 tokens, the local model local reads 8192" in body["message"]
    assert "tokenBoundStringsAgent" in body["message"]


def test_other_errors_of_the_model_are_handed_on() -> None:
    error = {"code": 400, "type": "invalid_request_error", "message": "no"}
    assert api.generation_error(json.dumps({"error": error}).encode(), "local") == error
    assert api.generation_error(b"<html>", "local")["message"] == "<html>"


TEXTS = {
    "one": ("a", ("a",)),
    "several": (["a", "b", "a"], ("a", "b", "a")),
}


@pytest.mark.parametrize(("body", "texts"), TEXTS.values(), ids=TEXTS)
def test_texts_to_embed(body: Any, texts: tuple[str, ...]) -> None:
    assert api.embedding_request({"input": body}, 384) == api.EmbeddingRequest(texts, base64=False)


REFUSALS: dict[str, tuple[api.Json, str]] = {
    "missing": ({}, r"input\[0\] is NoneType"),
    "none": ({"input": []}, "has 0 strings"),
    "many": ({"input": ["a"] * 2049}, "has 2049 strings"),
    "empty": ({"input": ["a", ""]}, r"input\[1\] must have at least one character"),
    "tokens": ({"input": [1, 2]}, r"input\[0\] is int; the local model takes strings"),
    "dimensions": ({"input": "a", "dimensions": 512}, "dimensions is 512; .* have 384"),
    "encoding": ({"input": "a", "encoding_format": "int8"}, "'int8'; it can be float or base64"),
}


@pytest.mark.parametrize(("request_", "message"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_embedded_is_refused(request_: api.Json, message: str) -> None:
    with pytest.raises(api.RequestRefused, match=message):
        api.embedding_request(request_, 384)


HOSTS = {"127.0.0.1:5", "localhost:5"}
GOOD = {"host": "127.0.0.1:5", "authorization": "Bearer k"}
ADMITTED: dict[str, tuple[dict[str, str], int]] = {
    "the user": (GOOD, 0),
    "the user elsewhere": ({"host": "LOCALHOST:5", "authorization": "bearer k "}, 0),
    "another host's name": ({**GOOD, "host": "evil.example"}, 403),
    "no host": ({"authorization": "Bearer k"}, 403),
    "a web page": ({**GOOD, "origin": "http://evil.example"}, 403),
    "another user": ({"host": "localhost:5"}, 401),
    "a guess": ({**GOOD, "authorization": "Bearer l"}, 401),
    "a key that is not ASCII": ({**GOOD, "authorization": "Bearer \xe9"}, 401),
    "a part of the key": ({**GOOD, "authorization": "Bearer "}, 401),
    "another scheme": ({**GOOD, "authorization": "Basic k"}, 401),
}


@pytest.mark.parametrize(("headers", "status"), ADMITTED.values(), ids=ADMITTED)
def test_who_may_ask(headers: dict[str, str], status: int) -> None:
    if not status:
        api.admit(headers, HOSTS, "k")
        return
    with pytest.raises(api.RequestRefused) as refused:
        api.admit(headers, HOSTS, "k")
    assert refused.value.status == status
