"""wikipediaAgent: the article that a search on Wikipedia finds first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.schema import anything, fields, flag, number, text
from perdure.errors import AgentError, FinalError, TransientError
from perdure.graph.javascript import parse, to_string
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, js_truthy
from perdure.net import failures

_LANGUAGE = re.compile(r"[a-z][a-z0-9-]{1,19}")
_BUSY = ("ratelimited", "maxlag", "readonly", "internal_api_error", "toomany", "timeout")


@agent(
    "wikipediaAgent",
    description="Finds a Wikipedia article",
    category="service",
    inputs=fields("query", query=text("what to search for")),
    params=fields(
        lang=text("the edition, such as en or ja (en)"),
        summary=flag("return a summary object, not the text"),
    ),
    output=fields(
        content=anything("the plain text, or with `summary` {title, extract, …}"),
        title=text(),
        pageid=number(),
        ns=number(),
    ),
    samples=[
        Sample(
            inputs={"query": "speed of light"},
            result={
                "content": "The speed of light in vacuum is a universal physical constant…",
                "ns": 0,
                "title": "Speed of light",
                "pageid": 28736,
            },
        )
    ],
)
async def wikipedia(inputs: Value, params: Mapping[str, Value], context: AgentContext) -> Value:
    """Finds the first article for a query: {content, ns, title, pageid}, or UNDEFINED for none.

    GraphAI's agent returns UNDEFINED for every failure. Here only a missing article does that:
    a rate limit or a broken network raises TransientError, because a run that survives crashes must not
    take a transient fault for an empty encyclopedia. Other failures raise AgentError.
    """
    query = inputs.get("query", UNDEFINED)
    if not js_truthy(query):
        return UNDEFINED
    site = _Site(params, context)
    search = {"list": "search", "srsearch": to_string(query), "srlimit": "1", "srprop": ""}
    hits = _list(_member(await site.ask(search), "query", "search"))
    if not hits:
        return UNDEFINED
    hit = {key: hits[0].get(key, UNDEFINED) for key in ("ns", "title", "pageid")}
    summary = js_truthy(params.get("summary", UNDEFINED))
    page = await site.ask(_page_query(hit["pageid"], summary=summary))
    entries = [entry for entry in _list(_member(page, "query", "pages")) if "missing" not in entry]
    if not entries:
        return UNDEFINED
    content = _summary(entries[0], site.language) if summary else entries[0].get("extract", "")
    return {"content": content, **hit}


class _Site:
    """One edition's API, at the operator's address."""

    def __init__(self, params: Mapping[str, Value], context: AgentContext) -> None:
        language = params.get("lang", UNDEFINED)
        self.language = to_string(language).lower() if js_truthy(language) else "en"
        # The language becomes part of a host name: nothing else may.
        if not _LANGUAGE.fullmatch(self.language):
            raise FinalError(f"wikipediaAgent: params.lang {self.language[:40]!r} is not a code such as en")
        template = context.settings.wikipedia_url
        self._url = template.replace("{lang}", self.language)
        # A host name that the graph can change is not the operator's: the usual rules apply to it.
        self._is_operators = "{lang}" not in urlsplit(template).netloc
        self._allowed = context.settings.allow_hosts, context.grant

    async def ask(self, query: Mapping[str, str]) -> Value:
        """The answer to an API query. Raises TransientError and AgentError."""
        from perdure.net import web  # noqa: PLC0415 -- httpx2 takes 0.2 s to import
        from perdure.net.egress import Guard  # noqa: PLC0415 -- the same

        asked = {"action": "query", "format": "json", "formatversion": "2", **query}
        mark = "&" if "?" in self._url else "?"
        request = web.Request(url=f"{self._url}{mark}{urlencode(asked)}")
        guard = Guard.of(*self._allowed)
        reply = await web.send(request, guard.trusting(self._url) if self._is_operators else guard)
        if not reply.ok:
            message = f"wikipediaAgent: HTTP error: {reply.status}"
            raise failures.of_status(reply.status, message, reply.headers, counted=True)
        try:
            answer = parse(reply.text)
        except (ValueError, RecursionError) as error:
            raise AgentError(f"wikipediaAgent: the answer is not JSON: {error}") from None
        error = _member(answer, "error")
        if is_dict(error) and error:
            raise _api_error(error, reply.headers)
        return answer


def _api_error(error: Mapping[str, Any], headers: Mapping[str, str]) -> AgentError:
    code, info = to_string(error.get("code")), to_string(error.get("info"))
    message = f"wikipediaAgent: {code}: {info[:500]}"
    if code.startswith(_BUSY):
        return TransientError(message, failures.retry_after(headers))
    return AgentError(message)


def _page_query(page: Value, *, summary: bool) -> dict[str, str]:
    query = {"pageids": to_string(page), "prop": "extracts", "explaintext": "1", "redirects": "1"}
    if summary:
        query |= {"prop": "extracts|description|info|pageprops", "exintro": "1", "inprop": "url"}
        query |= {"ppprop": "disambiguation"}
    return query


def _summary(page: Mapping[str, Any], language: str) -> Value:
    """What the REST API calls a summary, as far as the action API knows it."""
    kind = "disambiguation" if "disambiguation" in _member(page, "pageprops") else "standard"
    return {
        "type": kind,
        "title": page.get("title", ""),
        "pageid": page.get("pageid", UNDEFINED),
        "lang": page.get("pagelanguage", language),
        "description": page.get("description", ""),
        "extract": page.get("extract", ""),
        "content_urls": {"desktop": {"page": page.get("fullurl", "")}},
    }


def _member(value: Value, *keys: str) -> Value:
    for key in keys:
        value = value.get(key, {}) if is_dict(value) else {}
    return value


def _list(value: Value) -> list[dict[str, Value]]:
    return [entry for entry in value if is_dict(entry)] if is_list(value) else []
