"""The store of large values, which histories refer to by hash: what is in it, and what is not needed.

gc finds the objects that no run refers to any more and that were put longer ago than --older-than,
and removes them with --yes. It reads the histories of all runs that the server still has.

A store belongs to one namespace of one server: what another one refers to is taken for garbage.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from perdure.cli import connection, logs, output
from perdure.errors import UsageError
from perdure.settings import Settings, temporal_may_be_configured
from perdure.settings.parsers import days
from perdure.storage import ObjectInfo, Store, open_store

if TYPE_CHECKING:
    from perdure.garbage import Garbage

EXAMPLES = """\
examples:
  perdure store info                       where it is, and how much it holds
  perdure store gc                         what could go; removes nothing
  perdure store gc --yes                   removes it
  perdure store gc --older-than 30 --yes   only what was put more than 30 days ago
"""
DAY_S = 86_400.0
PROGRESS_INTERVAL_S = 0.2
"""Seconds between two lines of progress."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("what", choices=("info", "gc"), help="what to do")
    parser.add_argument(
        "--older-than", metavar="DAYS", help="gc: spare what is younger (PERDURE_STORE_RETENTION, 7)"
    )
    parser.add_argument("--yes", action="store_true", help="gc: remove it")
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(args: argparse.Namespace) -> int:
    """Looks, and removes if it is asked to."""
    logs.configure(verbose=args.verbose)
    settings = Settings.from_env()
    if args.what == "info":
        if args.yes or args.older_than:
            raise UsageError("--yes and --older-than are for perdure store gc")
        store = _store(settings, embedded=not temporal_may_be_configured())
        return connection.run(_info(store, as_json=args.json))
    age = days("--older-than", args.older_than) if args.older_than else settings.store_retention
    server_start = connection.begin(settings)
    return connection.run(_gc(args, settings, age, server_start))


def _store(settings: Settings, *, embedded: bool) -> Store:
    url = settings.store_url(embedded=embedded)
    if url is None:
        raise UsageError("there is no store: set PERDURE_STORE to a folder or a URL, as for the workers")
    return open_store(url)


async def _info(store: Store, *, as_json: bool) -> int:
    progress = ListingProgress()
    objects: list[ObjectInfo] = []
    async for item in store.list():
        objects.append(item)
        progress("objects listed", len(objects))
    progress.end()
    size = sum(item.size for item in objects)
    if as_json:
        facts = {"store": store.place, "objects": len(objects), "bytes": size, "oldest": oldest(objects)}
        output.result(output.json_text(facts))
    else:
        output.result(f"store    {store.place}\nobjects  {len(objects):,}\nsize     {amount(size)}")
    return 0


async def _gc(
    args: argparse.Namespace, settings: Settings, days: float, server_start: connection.ServerStart | None
) -> int:
    before = time.time() - days * DAY_S
    progress = ListingProgress()
    async with connection.connected(settings, server_start) as client:
        from perdure.garbage import (  # noqa: PLC0415 -- loads the SDK while the server starts
            find_garbage,
            remove_garbage,
        )

        store = _store(settings, embedded=client.embedded is not None)
        try:
            garbage = await find_garbage(client.temporal, store, before, progress)
            removed = await remove_garbage(store, garbage, before, progress) if args.yes else []
        finally:
            progress.end()
    if args.json:
        output.result(output.json_text(plain(store, garbage, removed)))
    else:
        output.result(summary(store, garbage, removed, removal=args.yes))
    return 0


def plain(store: Store, garbage: Garbage, removed: Sequence[ObjectInfo]) -> dict[str, Any]:
    """The garbage and what was removed, for programs."""
    return {
        "store": store.place,
        "runs": garbage.runs,
        "objects": garbage.count,
        "bytes": garbage.size,
        "garbage": {"objects": len(garbage.objects), "bytes": _size(garbage.objects)},
        "oldest": oldest(garbage.objects),
        "removed": {"objects": len(removed), "bytes": _size(removed)},
    }


def summary(store: Store, garbage: Garbage, removed: Sequence[ObjectInfo], *, removal: bool) -> str:
    """The same for people."""
    lines = [f"store    {store.place}", f"holds    {garbage.count:,} objects, {amount(garbage.size)}"]
    if removal:
        return "\n".join([*lines, f"removed  {len(removed):,} objects, {amount(_size(removed))}"])
    summary = f"garbage  {len(garbage.objects):,} objects, {amount(_size(garbage.objects))}"
    if garbage.objects:
        summary += f", the oldest of {oldest(garbage.objects)}; nothing was removed, --yes does it"
    return "\n".join([*lines, summary])


def amount(size: int) -> str:
    """Bytes for people."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def oldest(objects: Sequence[ObjectInfo]) -> str | None:
    """The day and time when the oldest was put."""
    if not objects:
        return None
    when = datetime.fromtimestamp(min(item.modified for item in objects)).astimezone()
    return when.isoformat(sep=" ", timespec="seconds")


def _size(objects: Sequence[ObjectInfo]) -> int:
    return sum(item.size for item in objects)


class ListingProgress:
    """One line on a terminal, written over and over; nothing elsewhere."""

    def __init__(self) -> None:
        self._shown = time.monotonic() if sys.stderr.isatty() else float("inf")
        self._dirty = False

    def __call__(self, what: str, count: int) -> None:
        """Says how far it is, now and then."""
        if time.monotonic() - self._shown >= PROGRESS_INTERVAL_S:
            sys.stderr.write(f"\r\x1b[K{count:,} {what}")
            sys.stderr.flush()
            self._shown, self._dirty = time.monotonic(), True

    def end(self) -> None:
        """Takes the line away."""
        if self._dirty:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
