"""The requests in docs/ui.md, one after the other, get the answers that it shows."""

import asyncio
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from perdure.agents.catalog import catalog
from perdure.settings import Settings
from perdure.web import runs_api
from perdure.web.inbox_api import INBOX_ROUTES
from perdure.web.openapi import DESCRIPTION_ROUTES
from perdure.web.serving import serving, token_of
from perdure.worker import WorkerOptions, build_worker
from tests.repo import documents
from tests.support.durable import embedded

NAME = "ui.md"


@pytest.mark.anyio
async def test_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in documents.blocks(NAME):
        if block.kind.startswith("file "):
            (tmp_path / block.kind.removeprefix("file ")).write_text(block.text)
    async with embedded(tmp_path / "home") as client, serving(client) as web:
        monkeypatch.setenv("API", f"{web.url}/api/v1")
        monkeypatch.setenv("TOKEN", web.token)
        options = WorkerOptions(agents=catalog(), settings=client.settings)
        async with build_worker(client.temporal, Settings().queue, options):
            got = [await asyncio.to_thread(printed, text, tmp_path) for text, _ in requests()]
    assert got == [shown for _, shown in requests()]


def requests() -> list[tuple[str, str]]:
    """Each block of commands that is followed by what it prints."""
    shown = documents.blocks(NAME)
    return [
        (block.text, after.text)
        for block, after in pairwise(shown)
        if (block.language, block.kind, after.kind) == ("sh", "request", "output")
    ]


def printed(text: str, folder: Path) -> str:
    """What the commands print, with one line break at the end: curl adds none."""
    done = subprocess.run(
        ["bash", "-c", text], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    return f"{done.stdout.rstrip()}\n"


def test_routes() -> None:
    """The table has every route, and no other."""
    (rows,) = documents.tables(NAME, "Every route")
    routes = [*runs_api.RUN_ROUTES, *INBOX_ROUTES, *DESCRIPTION_ROUTES]
    served = {
        f"{method} {route.path.replace(':path', '')}"
        for route in routes
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert {documents.code(row["request"]) for row in rows} == served


def test_token_file(tmp_path: Path) -> None:
    token_of(tmp_path)
    (file,) = tmp_path.iterdir()
    assert f"~/.local/share/perdure/{file.name}" in documents.text_of(NAME)
