"""python -m tests.web.pictures: takes the pictures of the live page, and of Temporal's UI, in docs/pictures.

The runs on them are held in one moment: rows of a map execute, one waits for its retry, a question is open.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

from playwright.async_api import Browser, Page

from perdure.agents.agent import agent, declared
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.errors import TransientError
from perdure.worker import WorkerOptions, build_worker
from tests.support import ROOT
from tests.web.browsing import browsing
from tests.web.pictured_runs import AGENTS, CHAT, FAILED, MAP, RAG

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


RUNS: Final[dict[str, Any]] = {
    "article-7": GRAPH,
    "rag-12": RAG,
    "atlas-3": MAP,
    "chat-5": CHAT,
    "order-4711": FAILED,
}


@asynccontextmanager
async def held_runs(client: GraphClient) -> AsyncGenerator[None]:
    """The runs, and the worker that executes them until the block ends."""
    own = map(declared, (outline_of, read_page, summarize, *AGENTS))
    agents = {**catalog(), **{item.name: item for item in own if item is not None}}
    options = WorkerOptions(agents=agents, settings=client.settings, concurrent_agents=400)
    async with build_worker(client.temporal, "pictures", options):
        for id, graph in RUNS.items():
            await client.start(graph, id=id, name=id.partition("-")[0], queue="pictures")
        await client.get("chat-5").answer("asked", "Who founded the library?", who="anna@example.org", id="1")
        yield
        for id in RUNS:
            if (await client.get(id).describe()).closed is None:
                await client.get(id).terminate()


async def opened(page: Page, run: str) -> None:
    """Shows the page of a run."""
    await page.goto(f"{page.url.partition('#')[0]}#/run/{run}")
    await page.wait_for_selector("svg.graph [data-address]")
    await page.keyboard.press("0")


async def take_article(page: Page) -> None:
    """A question that is answered halfway, and a map."""
    await opened(page, "article-7")
    await page.wait_for_selector("form.question")
    await page.get_by_text(f"{HELD_PAGE - 1}/{PAGE_COUNT} rows").wait_for()
    await page.get_by_label("Decision").select_option("write")
    await page.get_by_label("Your name").fill("anna@example.org")
    await page.locator("h2", has_text="article").click()


async def take_rag(page: Page) -> None:
    """A model that streams its answer."""
    await opened(page, "rag-12")
    await page.wait_for_selector("[data-address=answer].state-running")
    await page.click("[data-address=answer]")
    await page.wait_for_selector(".panel .stream")


async def take_map(page: Page) -> None:
    """A map of a thousand rows, and its rows."""
    await opened(page, "atlas-3")
    await page.wait_for_timeout(5_000)  # some hundred rows are done
    await page.locator("[data-address=read]").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".rows tr")
    await page.get_by_label("State of the rows").select_option("running")
    await page.wait_for_selector(".rows .state-running")


async def take_chat(page: Page) -> None:
    """A loop whose second question is open."""
    await opened(page, "chat-5")
    await page.wait_for_selector("form.question")
    await page.wait_for_selector("[data-address=asked].state-asks")


async def take_failed(page: Page) -> None:
    """The node that failed."""
    await opened(page, "order-4711")
    await page.wait_for_selector(".bar .badge.state-failed")
    await page.click("[data-address=paid]")
    await page.wait_for_selector(".panel pre.error")


SHOTS: Final[Mapping[str, Callable[[Page], Awaitable[None]]]] = {
    "run": take_article,
    "rag": take_rag,
    "map": take_map,
    "chat": take_chat,
    "failed": take_failed,
}
TEMPORAL_RUNS: Final = {"rag": "rag-12", "map": "atlas-3", "chat": "chat-5", "failed": "order-4711"}


async def take_page(browser: Browser, link: str, names: Collection[str]) -> None:
    """The live page: the first one light and dark, the others light."""
    for name, shot in SHOTS.items():
        for scheme in SCHEMES if name == "run" else SCHEMES[:1]:
            if names and name not in names:
                continue
            page = await browser.new_page(color_scheme=scheme, viewport={"width": 1280, "height": 720})
            await page.goto(link)
            await page.wait_for_selector("h1")
            await shot(page)
            end = f"-{scheme}" if name == "run" else ""
            await page.screenshot(path=PICTURES / f"{name}{end}.png")
            await page.close()


async def take_temporal(browser: Browser, client: GraphClient, names: Collection[str]) -> None:
    """The same runs in Temporal's UI: their timelines, and of the question the details."""
    assert client.embedded is not None
    for name, run in TEMPORAL_RUNS.items():
        if names and f"temporal-{name}" not in names:
            continue
        execution = (await client.get(run).describe()).info.execution.run_id
        tab = "user-metadata" if name == "chat" else "timeline"
        page = await browser.new_page(viewport={"width": 1280, "height": 720})
        address = f"{client.embedded.ui_url}/namespaces/default/workflows/{run}/{execution}/{tab}"
        await page.goto(address)
        await page.wait_for_selector("text=Task Queue")
        await page.wait_for_timeout(3_000)
        await page.mouse.move(1_000, 620)
        await page.mouse.wheel(0, 260 if name == "chat" else 700)
        await page.wait_for_timeout(1_000)
        await page.screenshot(path=PICTURES / f"temporal-{name}.png")
        await page.close()


async def main(names: Collection[str]) -> None:
    """Takes all of them, or those of these names."""
    async with browsing() as (client, web, browser), held_runs(client):
        await take_page(browser, web.link, names)
        await take_temporal(browser, client, names)


if __name__ == "__main__":
    logging.disable()  # calls fail and are stopped on purpose
    asyncio.run(main(sys.argv[1:]))
