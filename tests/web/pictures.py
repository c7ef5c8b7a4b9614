"""python -m tests.web.pictures: takes the pictures of the live page in docs/pictures, light and dark.

The run on them is held in one moment: rows of a map execute, one waits for its retry, a question is open.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

from playwright.async_api import Page, async_playwright

from perdure import server
from perdure.agents.agent import agent, declared
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.errors import TransientError
from perdure.runs import Run
from perdure.settings import Settings
from perdure.web.serving import serving
from perdure.worker import WorkerOptions, build_worker
from tests.support import ROOT
from tests.support.durable import connected

PICTURES: Final = ROOT / "docs" / "pictures"
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
PAGE_COUNT = 120
BUSY_PAGE = 37
HELD_PAGE = 90
"""Reading pages from this one on does not return."""

FORM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["decision"],
    "properties": {
        "decision": {"type": "string", "title": "Decision", "enum": ["write", "revise", "stop"]},
        "remarks": {"type": "string", "title": "Remarks"},
    },
}
GRAPH: Final[dict[str, Any]] = {
    "concurrency": 40,
    "nodes": {
        "topic": {"value": "The harbour of Lantern Bay"},
        "pages": {"value": [f"page-{number}" for number in range(PAGE_COUNT)]},
        "outline": {"agent": "outline", "inputs": {"topic": ":topic"}},
        "notes": {
            "agent": "mapAgent",
            "inputs": {"rows": ":pages", "topic": ":topic"},
            "graph": {
                "nodes": {
                    "text": {"agent": "readPage", "inputs": {"page": ":row"}, "backoff": 300},
                    "note": {"agent": "summarize", "inputs": {"text": ":text"}, "isResult": True},
                }
            },
        },
        "approval": {
            "agent": "humanInputAgent",
            "inputs": {"title": ":outline.title"},
            "params": {
                "message": "Write the article **${title}** with this outline?",
                "schema": FORM,
                "who": ["group:editors"],
            },
        },
        "article": {
            "agent": "summarize",
            "if": ":approval.answer.decision.equal(write)",
            "inputs": {"notes": ":notes", "outline": ":outline"},
            "isResult": True,
        },
    },
}


@agent("outline")
async def outline_of(inputs: dict[str, Any]) -> dict[str, Any]:
    """A title and sections."""
    return {"title": inputs["topic"], "sections": ["The founding", "The light", "Today"]}


@agent("readPage")
async def read_page(inputs: dict[str, Any]) -> str:
    """Is refused for one page, and does not return for the last ones."""
    number = int(inputs["page"].removeprefix("page-"))
    if number == BUSY_PAGE:
        raise TransientError(f"{inputs['page']}: 503 Service Unavailable")
    if number >= HELD_PAGE:
        await asyncio.Event().wait()
    return f"The text of {inputs['page']}."


@agent("summarize", pure=True)
def summarize(inputs: dict[str, Any]) -> str:
    """Stands for a language model."""
    return f"In short: {inputs.get('text')}"


@asynccontextmanager
async def held_run(client: GraphClient) -> AsyncIterator[Run]:
    """The run, and the worker that executes it until the block ends."""
    agents = {**catalog(), **{item.name: item for item in map(declared, (outline_of, read_page, summarize))}}
    options = WorkerOptions(agents=agents, settings=client.settings)
    async with build_worker(client.temporal, "pictures", options):
        run = await client.start(GRAPH, id="article-7", name="article", queue="pictures")
        yield run
        await run.terminate()


async def take(page: Page, link: str, path: Path) -> None:
    """The page of the run with its question answered halfway, as the file at `path`."""
    await page.goto(link)
    await page.wait_for_selector("h1")
    await page.goto(f"{page.url.partition('#')[0]}#/run/article-7")
    await page.wait_for_selector("form.question")
    await page.get_by_text(f"{HELD_PAGE - 1}/{PAGE_COUNT} rows").wait_for()
    await page.get_by_label("Decision").select_option("write")
    await page.get_by_label("Your name").fill("anna@example.org")
    await page.locator("h2", has_text="article").click()
    await page.screenshot(path=path)


async def take_all(link: str) -> None:
    """Once for each color scheme."""
    chromium = shutil.which("chromium") or sys.exit("no Chromium here: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme in SCHEMES:
            page = await browser.new_page(color_scheme=scheme, viewport={"width": 1280, "height": 720})
            await take(page, link, PICTURES / f"run-{scheme}.png")
        await browser.close()


async def main() -> None:
    """A server, a worker and the run for as long as it takes."""
    with tempfile.TemporaryDirectory() as home:
        try:
            async with connected(Path(home)) as client, serving(client) as web, held_run(client):
                await take_all(web.link)
        finally:
            server.stop(Settings(home=Path(home)))


if __name__ == "__main__":
    logging.disable()  # calls fail and are stopped on purpose
    asyncio.run(main())
