"""The keys with which payloads are signed or encrypted: which there are, and how to change them.

keys lists the ids of the keys; the first one writes, all are read. --add makes a new key, which is only read;
--use ID makes it the one that writes. To change keys: --add, bring the file to all clients and workers, then
--use ID, and bring it again. Keep old keys as long as there are runs that they have written.

The file is the one that PERDURE_CODEC_KEYS names, by default payload.keys in PERDURE_HOME.

Exit codes: 0 done, 2 the keys cannot be read.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from perdure.cli import output
from perdure.errors import UsageError
from perdure.settings import Settings
from perdure.settings.key_ring import KeyRing, made_file, ring_of, write_ring

EXAMPLES = """\
examples:
  perdure codec keys                        which keys there are
  perdure codec keys --add                  one more, which is only read
  perdure codec keys --use k20261128-2      this one writes from now on
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("what", choices=("keys",), help="what to look at")
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--add", action="store_true", help="make a new key, which is only read")
    change.add_argument("--use", metavar="ID", help="write with this key")
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(args: argparse.Namespace) -> int:
    """Changes the keys if that is asked for, and lists them."""
    settings = Settings.from_env()
    ring = ring_of(settings.codec_keys, settings.home)
    if args.add or args.use:
        ring = ring.with_new_key(datetime.now(UTC)) if args.add else ring.writing_with(args.use)
        write_ring(_file(settings), ring)
    output.result(output.json_text(_facts(ring)) if args.json else "\n".join(_lines(ring)))
    return 0


def _file(settings: Settings) -> Path:
    kind, _, place = settings.codec_keys.partition(":")
    if kind == "env":
        hint = "change it where the variable is set"
        raise UsageError("keys in a variable cannot be changed here", hint=hint)
    return Path(place) if kind else made_file(settings.home)


def _facts(ring: KeyRing) -> dict[str, object]:
    since = datetime.fromtimestamp(ring.since / 1000, UTC).isoformat(timespec="seconds")
    return {"writes": ring.current, "reads": list(ring.keys), "since": since}


def _lines(ring: KeyRing) -> list[str]:
    return [f"{id}  {'writes' if id == ring.current else 'is read'}" for id in ring.keys]
