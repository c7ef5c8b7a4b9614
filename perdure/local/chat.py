"""The chat model: llama.cpp's own server, inside this process, behind a key that only this process has."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from http.client import HTTPConnection
from importlib import import_module
from pathlib import Path
from typing import Any

CONTEXT_TOKENS = 8192
"""Tokens of prompt and answer, unless the model has fewer. GraphAI's examples need 5,000 to 6,000.

SmolLM2 on one core reads 1,000 tokens in 7 s, 5,000 in a minute, 8,000 in two; room for 8,192
instead of 4,096 costs 90 MB of memory.
"""


@dataclass(frozen=True)
class Chat:
    """The running model. `address` is "127.0.0.1:port" of its own server, `key` opens it."""

    address: str
    key: str
    server: Any

    def connect(self, timeout: float) -> HTTPConnection:
        """A new connection to the model's server."""
        host, _, port = self.address.partition(":")
        return HTTPConnection(host, int(port), timeout=timeout)


def start(weights: Path, title: str, threads: int) -> Chat:
    """Load the model. It calls itself `title` in its answers.

    Raises RuntimeError if llama.cpp cannot load the file as a model.
    """
    xllamacpp: Any = import_module("xllamacpp")
    key = secrets.token_hex()
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {title}
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1  # with more, the same request gives different answers
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.warmup = False
    params.cache_ram_mib = 0  # up to 8 GiB of old prompts otherwise
    params.n_ctx_checkpoints = 0
    params.verbosity = 0
    # Any web page may talk to a port of this machine: it gets no key, no UI, no look at others' prompts.
    params.api_keys = [key]
    params.cors_origins = ""
    params.ui = params.endpoint_slots = params.endpoint_props = params.endpoint_metrics = False
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:  # gives no reason
        raise RuntimeError(
            f"{weights}: llama.cpp cannot load this model; hint: check that the file is complete, of a kind "
            "that llama.cpp reads, and smaller than the free memory"
        ) from error
    return Chat(server.listening_address.removeprefix("http://"), key, server)
