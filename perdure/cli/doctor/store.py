"""The store of large values: whether what is put there can be read back.

A value is written only into a store that exists: no folder is created for it. It is removed again, so
that nothing remains except, in a folder, the two folders that it was in.
"""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from urllib.parse import unquote, urlsplit

from perdure.cli.doctor.framework import Finding, failed, fine
from perdure.cli.doctor.machine import folder
from perdure.errors import AgentError, PerdureError
from perdure.settings import Settings, temporal_may_be_configured
from perdure.storage import open_store

STORE_CHECK = "store"
STORE_HINT = "fix what it names, or correct PERDURE_STORE"


async def store(settings: Settings) -> list[Finding]:
    """The configured store; with the embedded server there is one without a setting."""
    url = settings.store_url(embedded=not temporal_may_be_configured())
    if url is None:
        return [
            fine(
                STORE_CHECK, "none: large values pass through Temporal, if they can; PERDURE_STORE names one"
            )
        ]
    place = _folder(url)
    if place is not None:
        findings = folder(STORE_CHECK, place, "PERDURE_STORE")
        if not place.exists() or any(finding.hint for finding in findings):
            return findings
    try:
        summary = await _round_trip(url)
    except PerdureError as error:
        return [failed(STORE_CHECK, error.finding, error.hint or STORE_HINT)]
    except ImportError as error:
        return [failed(STORE_CHECK, str(error), STORE_HINT)]
    return [fine(STORE_CHECK, summary)]


async def _round_trip(url: str) -> str:
    data = f"perdure doctor {date.today()}".encode()  # one small object a day, which `store gc` removes
    writer, reader = open_store(url), open_store(url)  # each with a cache of its own
    begun = time.monotonic()
    if await reader.get(await writer.put(data)) != data:
        raise AgentError(f"the store {writer.place} gives other bytes than were put there")
    took = time.monotonic() - begun
    return f"{writer.place}: a value was put and read back in {took * 1000:.0f} ms"


def _folder(url: str) -> Path | None:
    scheme, mark, _ = url.partition("://")
    if not mark:
        return Path(url).expanduser().absolute()
    return Path(unquote(urlsplit(url).path)) if scheme == "file" else None
