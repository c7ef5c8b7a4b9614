"""The page in a real browser: Debian's Chromium, driven by Playwright."""

import json
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from perdure.agents.agent import agent, declared
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.lineage.change import Change
from perdure.web.serving import WebServer
from perdure.worker import WorkerOptions, build_worker
from tests.web.hostile import looked

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]

HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m **bold** [x](javascript:alert(1))"
ROW_COUNT = 300
MAP = {
    "nodes": {
        "list": {"value": [{"n": row} for row in range(ROW_COUNT)]},
        "m": {
            "agent": "mapAgent",
            "inputs": {"rows": ":list"},
            "graph": {"nodes": {"odd": {"agent": "odd", "inputs": {"n": ":row.n"}, "isResult": True}}},
        },
    }
}
ASKS = {
    "nodes": {
        "who": {"agent": "textInputAgent", "params": {"message": f"**Your** name? {HOSTILE}"}},
        "hi": {"agent": "copyAgent", "inputs": {"name": ":who.text"}, "isResult": True},
    }
}


@agent("odd", pure=True)
def odd(inputs: dict[str, Any]) -> dict[str, Any]:
    """Fails for one row."""
    if inputs["n"] == 212:
        raise ValueError("row 212 is odd")
    return {"n": inputs["n"], "text": HOSTILE}


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    del anyio_backend
    expect.set_options(timeout=180_000)  # a busy machine, not a broken page
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser, web: WebServer) -> AsyncIterator[Page]:
    """The page, opened by its link; whatever the browser complains about fails the test."""
    complaints: list[str] = []
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    page.set_default_timeout(180_000)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    await page.goto(web.link)
    await page.wait_for_selector("h1")
    yield page
    await context.close()
    assert complaints == []


def _worker(client: GraphClient, queue: str) -> Any:
    agents = {**catalog(), "odd": declared(odd)}
    return build_worker(client.temporal, queue, WorkerOptions(agents=agents, settings=client.settings))


async def _drag(page: Page, address: str) -> None:
    """Presses on a box, and moves the picture with it."""
    box = await page.locator(f"[data-address={address}] > rect").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 5, box["y"] + 5)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 60, box["y"] + 40, steps=4)
    await page.mouse.up()


async def test_the_token_leaves_the_address(page: Page, web: WebServer) -> None:
    assert await page.evaluate("location.href") == f"{web.url}/#/"
    assert await page.evaluate("localStorage.getItem('perdure-token')") == web.token


async def test_a_question_is_answered_on_the_page(client: GraphClient, page: Page) -> None:
    run = await client.start(ASKS, id="page-asks", queue="page-a", name="asks")
    async with _worker(client, "page-a"):
        await page.goto(f"{page.url.partition('#')[0]}#/run/page-asks")
        form = page.locator("form.question")
        await form.wait_for()
        assert await form.locator("strong").first.inner_text() == "Your"
        assert await form.locator("img, a").count() == 0
        await form.locator("textarea").fill(HOSTILE)
        await _drag(page, "hi")
        assert await page.locator(".node.chosen").count() == 0
        await page.click("[data-address=who]")
        await expect(page.locator(".panel h2")).to_have_text("who")
        await expect(form.locator("textarea")).to_have_value(HOSTILE)  # the form of the node is the same
        await form.locator("button[type=submit]").click()
        await page.wait_for_selector(".bar .badge.state-completed")
        assert (await run.result()).results == {"hi": {"name": HOSTILE}}
        await page.click("[data-address=hi]")
        await page.wait_for_selector(".panel pre.value")
        assert json.loads(await page.locator(".panel pre.value").first.inner_text()) == {"name": HOSTILE}
    assert await page.locator(".panel img").count() == 0


async def test_hostile_values_are_text_everywhere(
    client: GraphClient, browser: Browser, web: WebServer
) -> None:
    assert await looked(browser, client, web, ["mixed"]) == []


async def test_the_failed_row_of_a_map_is_shown(client: GraphClient, page: Page) -> None:
    await client.start(MAP, id="page-map", queue="page-b", name="map")
    async with _worker(client, "page-b"):
        await page.goto(f"{page.url.partition('#')[0]}#/run/page-map")
        await page.wait_for_selector(".bar .badge.state-failed")
    assert await page.locator("*").count() < 1_500
    await expect(page.locator("[data-address=m] > text.agent")).to_contain_text("1 failed")
    await page.locator("[data-address=m]").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_selector("tr[data-row='212']")
    assert await page.locator(".rows tbody tr").count() == 1
    await page.click("tr[data-row='212'] button.link")
    await page.wait_for_selector(".panel pre.error")
    assert "row 212 is odd" in await page.locator(".panel pre.error").inner_text()
    await page.keyboard.press("Escape")
    await page.keyboard.press("t")
    await page.wait_for_selector("svg.timeline")


async def test_a_run_is_cancelled_from_the_page_without_a_worker(client: GraphClient, page: Page) -> None:
    run = await client.start(ASKS, id="page-stop", queue="page-c")
    await page.goto(f"{page.url.partition('#')[0]}#/run/page-stop")
    await page.wait_for_selector(".bar .badge.state-running")
    await expect(page.locator(".panel .why")).to_contain_text("no worker advances the run")
    await page.evaluate("window.confirm = () => true")
    await page.click("button.danger")
    await page.wait_for_selector(".bar .error")
    assert (await run.describe()).raw.workflow_extended_info.cancel_requested
    async with _worker(client, "page-c"):
        await expect(page.locator(".bar .badge")).to_have_text("■ canceled")


async def test_the_list_is_filtered(client: GraphClient, page: Page) -> None:
    await client.start(ASKS, id="listed-1", queue="page-d")
    await page.fill("#search", "listed-")
    await expect(page.locator("tbody tr")).to_have_count(1)
    assert await page.locator("tbody a").inner_text() == "listed-1"
    await client.get("listed-1").terminate()


async def test_dark_is_the_viewers_choice(browser: Browser, web: WebServer) -> None:
    context = await browser.new_context(color_scheme="dark")
    page = await context.new_page()
    await page.goto(web.link)
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 28)"
    await context.close()


async def test_the_dialog_shows_what_a_rerun_would_call_and_starts_it(
    client: GraphClient, page: Page
) -> None:
    run = await client.start(ASKS, id="page-rerun", queue="page-d", name="asks")
    async with _worker(client, "page-d"):
        await run.answer("who", "Anna", id="1")
        await run.result()
        await page.goto(f"{page.url.partition('#')[0]}#/run/page-rerun")
        await page.get_by_role("button", name="Rerun…").click()
        await expect(page.locator("dialog.rerun .plan p")).to_have_text("2 calls reused, 0 to run")
        start, chosen = page.get_by_role("button", name="Start the rerun"), page.locator("dialog.rerun input")
        await chosen.fill("hi")
        await expect(start).to_be_disabled()  # it would not do what is shown
        await chosen.fill("")
        await chosen.press("Enter")
        await start.click()
        await page.wait_for_url("**/#/run/page-rerun~2")
        await page.wait_for_selector(".bar .badge.state-completed")
        await run.rerun(Change(values={"who": {"text": "Ben"}}), id="page-rerun~3")
        await client.get("page-rerun~3").result()
        await page.get_by_role("button", name="Compare…").click()
        await expect(page.locator("dialog.compare .plan p").first).to_contain_text(
            "2 calls are equal, 2 of them"
        )
        await page.fill("dialog.compare input[name=second]", "page-rerun~3")
        await page.get_by_role("button", name="Compare", exact=True).click()
        await page.locator("dialog.compare .plan button", has_text="hi").click()
        sides = page.locator("dialog.compare .sides pre")
        await expect(sides).to_have_count(2)
        assert [json.loads(text)["name"] for text in await sides.all_inner_texts()] == ["Anna", "Ben"]
