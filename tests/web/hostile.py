"""python -m tests.web.hostile [NAME …]: values that mean harm, in every place of the page, in Chromium.

For each value a run has it as an input, a result, a failure, a console line, a question with its choices, the
id of a node and an answer. Prints what the page took for it; exits with 1 if anything of it was executed, was
loaded, became an element, or made the page stop.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from playwright.async_api import Browser, Page

from perdure.agents.agent import agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.web.serving import WebServer
from perdure.worker import WorkerOptions, build_worker
from tests.web.browsing import browsing

LIMIT_MS: Final = 180_000
ELEMENT_COUNT: Final = 1_500
QUEUE: Final = "hostile"
FOREIGN: Final = (
    "main img, main script, main iframe, main object, main style, main [onerror], main a[href^='javascript:']"
)
"""What only a value could have brought."""


def _deep(width: int) -> Any:
    value: Any = [0] * width
    for _ in range(390):
        value = [value]
    return value


VALUES: dict[str, Any] = {
    "html": "<img src=x onerror=alert(1)><script>alert(2)</script><iframe src='javascript:alert(3)'>",
    "attribute": "\"><svg onload=alert(1)>' onmouseover=alert(2) style='position:fixed'",
    "escapes": "\x1b[31mred\x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x9b2J\x00\x08",
    "markdown": "**b** `c` [x](javascript:alert(1)) [y](data:text/html,z) ![i](http://127.0.0.1:9/x.png) <b>",
    "bidi": "abc\u202egnp.exe\u2066 \u200b\u200d\ufeff \u0301\u0301\u0301",
    "template": "${constructor} {{7*7}} #{1} :echo <%= 1 %>",
    "brackets": "[" * 60_000,
    "stars": "**`" * 20_000,
    "lines": "x\n" * 500_000,
    "one line": "x" * 5_000_000,
    "html of 5 MB": "<img src=x onerror=alert(1)>" * 180_000,
    "deep": _deep(1),
    "deep and wide": _deep(200_000),
    "wide": {f"<b>{number}</b>": number for number in range(100_000)},
}


VALUES["mixed"] = " ".join(
    VALUES[name] for name in ("html", "attribute", "escapes", "markdown", "bidi", "template")
)


@agent("refuses")
async def refuses(inputs: dict[str, Any]) -> None:
    """Fails with its input as the message."""
    raise ValueError(str(inputs["value"])[:100_000])


def graph(value: Any) -> dict[str, Any]:
    """A graph with this value wherever one can be."""
    text = value if isinstance(value, str) else "a value"
    name = text[:40].strip() or "empty"
    choice = {"type": "string", "title": text[:200], "description": text[:200], "enum": [text[:200], "other"]}
    schema = {"type": "object", "required": ["pick"], "properties": {"pick": choice}}
    ask = {"message": text[:20_000], "schema": schema, "who": [text[:100]]}
    return {
        "nodes": {
            "value": {"value": value},
            "echo": {"agent": "copyAgent", "inputs": {"value": ":value"}, "console": {"after": True}},
            "refused": {"agent": "refuses", "inputs": {"value": ":value"}, "fallback": "refused"},
            "ask": {"agent": "humanInputAgent", "params": ask},
            name: {"agent": "copyAgent", "inputs": {"echo": ":echo", "ask": ":ask"}, "isResult": True},
        }
    }


class Look:
    """What one page does with the runs of hostile values."""

    def __init__(self, page: Page, web: WebServer) -> None:
        self.page, self._web = page, web
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"a dialog: {dialog.message}"))
        page.on("request", self._check_request)

    def _check_request(self, request: Any) -> None:
        if not request.url.startswith((self._web.url, "data:,")):
            self.complaints.append(f"a request for {request.url[:200]}")

    async def visit(self, client: GraphClient, name: str) -> list[str]:
        """Opens every part of the run of this value; what is wrong with what came of it."""
        page, id = self.page, f"hostile-{name.replace(' ', '-')}"
        run = await client.start(graph(VALUES[name]), id=id, name=id, queue=QUEUE)
        await page.goto(f"{self._web.url}/#/run/{id}")
        await page.wait_for_selector("form.question", timeout=LIMIT_MS)
        await self._check("question")
        for node in ("value", "echo", "refused"):
            await page.wait_for_selector(f"[data-address={node}]:not(.state-running)", timeout=LIMIT_MS)
            await page.locator(f"[data-address={node}]").focus()
            await page.keyboard.press("Enter")
            await page.locator(".panel h2", has_text=node).wait_for(timeout=LIMIT_MS)
            await page.evaluate(
                "document.querySelectorAll('.panel details').forEach((part) => (part.open = true))"
            )
            await self._check(node)
        await page.keyboard.press("Escape")
        await page.wait_for_selector("form.question", timeout=LIMIT_MS)
        await page.locator("form.question select").select_option(index=2 if "\0" in str(VALUES[name]) else 1)
        await page.locator("form.question button[type=submit]").click()
        await page.wait_for_selector(".bar .badge.state-completed", timeout=LIMIT_MS)
        await page.get_by_role("button", name="Show the result").click()
        await page.wait_for_selector(".panel pre.value", timeout=LIMIT_MS)
        await self._check("result")
        await page.keyboard.press("t")
        await page.wait_for_selector("svg.timeline", timeout=LIMIT_MS)
        await self._check("timeline")
        await page.goto(f"{self._web.url}/#/")
        await page.locator("td a", has_text=id).first.wait_for(timeout=LIMIT_MS)
        await self._check("list")
        assert (await run.describe()).closed is not None
        findings, self.complaints = self.complaints, []
        return findings

    async def _check(self, where: str) -> None:
        """The page answers, is small, and has only elements of its own."""
        count = await self.page.locator("*").count()
        if count >= ELEMENT_COUNT:
            self.complaints.append(f"{where}: {count} elements")
        foreign = await self.page.locator(FOREIGN).count()
        if foreign:
            self.complaints.append(f"{where}: {foreign} elements that are not its own")
        hidden = await self.page.evaluate("/[\\x1b\\u202e\\u2066\\u200b]/.test(document.body.innerText)")
        if hidden:
            self.complaints.append(f"{where}: characters that act")


async def looked(browser: Browser, client: GraphClient, web: WebServer, names: Sequence[str]) -> list[str]:
    """Visits the runs of these values, and prints what the page took; what was wrong."""
    wrong: list[str] = []
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    page.set_default_timeout(LIMIT_MS)
    look = Look(page, web)
    await page.goto(web.link)
    await page.wait_for_selector("h1")
    options = WorkerOptions(agents={**catalog(), **agents_by_name([refuses])}, settings=client.settings)
    async with build_worker(client.temporal, QUEUE, options):
        for name in names:
            began = time.monotonic()
            findings = await look.visit(client, name)
            wrong += [f"{name}: {what}" for what in findings]
            print(
                f"{name:<16} {time.monotonic() - began:5.1f} s  {'; '.join(findings) or 'text'}", flush=True
            )
    await context.close()
    return wrong


async def main(names: Sequence[str]) -> int:
    """The number of values that did more than be shown."""
    async with browsing() as (client, web, browser):
        wrong = await looked(browser, client, web, names)
    print(f"{len(names)} values, {len(wrong)} findings")
    return len(wrong)


if __name__ == "__main__":
    logging.disable()  # calls fail on purpose
    sys.exit(1 if asyncio.run(main(sys.argv[1:] or list(VALUES))) else 0)
