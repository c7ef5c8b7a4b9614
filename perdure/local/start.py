"""Starting, finding and stopping the process that serves the local models."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from perdure import daemon
from perdure.daemon import Lease
from perdure.errors import ConnectionFailed, FinalError
from perdure.local.fetch import Tell, fetch
from perdure.local.models import MINILM, Model, chat_model, key_of
from perdure.settings import Settings
from perdure.version import installation

LOCAL_IDLE_TIMEOUT_S = 600.0
"""Seconds without a request after which the process ends."""

MODEL_LOAD_TIMEOUT_S = 180.0
"""Seconds that a model may take to load: a large one of the user's, from a slow disk."""

NEEDED = ("xllamacpp", "tokenizers", "numpy")


def installed() -> bool:
    """Whether what the local models need can be imported. Imports nothing."""
    return not _missing()


def _missing() -> list[str]:
    return [name for name in NEEDED if find_spec(name) is None]


async def ensure(
    settings: Settings, progress: Tell | None = None, *, idle: float = LOCAL_IDLE_TIMEOUT_S
) -> str:
    """The base URL of the local models, such as "http://:KEY@127.0.0.1:23456/v1", with the API key.

    Fetches those that are missing and starts the process that serves them, as far as needed.
    `progress` is called for downloads, on the event loop. The process ends by itself when no request
    came for `idle` seconds; it then starts again with the next call of this function.

    Raises FinalError, which names the hint, where a model cannot be fetched or the process does not start.
    """
    loop = asyncio.get_running_loop()

    def tell(report: Any) -> None:
        if progress:
            loop.call_soon_threadsafe(progress, report)

    return await asyncio.to_thread(_ensure, settings, tell, idle)


def _ensure(settings: Settings, tell: Callable[[Any], None], idle: float) -> str:
    if missing := _missing():
        raise FinalError(
            f"the local models need {', '.join(missing)}, not installed here",
            hint=f"{installation('local')}, or set OPENAI_API_KEY or OPENAI_BASE_URL",
        )
    model, folder = chat_model(settings.local_model), _folder(settings)
    try:
        for one in (model, MINILM):
            fetch(one, folder, progress=tell)
        key = key_of(folder)
        with Lease(folder, model.name):
            process = daemon.ensure(
                folder,
                model.name,
                lambda port: _command(settings, port, idle),
                lambda address: _serves(address, model, key),
                timeout=MODEL_LOAD_TIMEOUT_S,
            )
    except ConnectionFailed as error:
        raise FinalError(f"local models: {error}") from error
    return f"http://:{key}@{process.address}/v1"


def stop(settings: Settings) -> bool:
    """End the process that serves the model of the settings. False if there was none. Blocks."""
    return daemon.stop(_folder(settings), chat_model(settings.local_model).name)


def _folder(settings: Settings) -> Path:
    return settings.home.absolute() / "models"


def _command(settings: Settings, port: int, idle: float) -> list[str]:
    model = chat_model(settings.local_model)
    # As `python -m perdure.local.server`, but also from a checkout that is not installed: the process
    # starts in another folder, which `-P` keeps it from importing from.
    checkout = str(Path(__file__).parents[2])
    return [
        sys.executable,
        "-P",
        "-c",
        f"import sys; sys.path.append({checkout!r}); from perdure.local.server import main; main()",
        f"--home={settings.home.absolute()}",
        f"--port={port}",
        f"--model={model.own or model.name}",
        f"--idle={idle:g}",
    ]


def _serves(address: str, model: Model, key: str) -> bool:
    connection = HTTPConnection(address, timeout=5.0)
    try:
        connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {key}"})
        answer = json.loads(connection.getresponse().read())
        return model.title in [one["id"] for one in answer["data"]]
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return False
    finally:
        connection.close()
