"""Graphs that read what a hostile server says: as a page, as an operator's model and as one of their own."""

from __future__ import annotations

from tests.poison.case import Case, one
from tests.poison.hostile import ANSWERS, PAGES

SLOW = frozenset(("drip", "drip-head", "retry-at-once", "retry-never"))
"""What may take until the deadline of the call."""

OBEYS = {"fence-letters", "fence-blanks", "fences"}


def cases() -> list[Case]:
    """All of them, and ten hostile pages at once."""
    return [*_pages(), *_answers()]


def _pages() -> list[Case]:
    found: list[Case] = []
    for name in PAGES:
        kind = "xml" if name.startswith("xml") else "text" if name in ("error", "escapes") else "json"
        inputs = {"url": f"HOSTILE/page/{name}"}
        agent = "fetchAgent" if kind == "xml" else "vanillaFetchAgent"
        document = one(agent, inputs, params={"type": kind})
        found.append(Case(name=f"page {name}", kind="pages", document=document, may_wait=name in SLOW))
    lists = next(case for case in found if case.name == "page gzip-lists")
    return [*found, Case(name="ten pages", kind="pages", document=lists.document, times=10)]


def _answers() -> list[Case]:
    found: list[Case] = []
    for name in ANSWERS:
        shape = {"response_format": {"type": "object"}} if name in OBEYS else {}
        stream = name not in OBEYS and not name.startswith(("many", "deep-a", "nonsense"))
        params = {"stream": stream, **shape}
        wait = name in SLOW or name == "error"  # a model that fails is asked again
        inputs = {"prompt": "hello"}
        for whose, more in (
            ("operator's model", {"model": name}),
            ("graph's model", {"baseURL": f"HOSTILE/model/{name}/v1", "apiKey": "none"}),
        ):
            document = one("openAIAgent", inputs, params={**params, **more})
            found.append(Case(name=f"{whose} {name}", kind="answers", document=document, may_wait=wait))
    return found
