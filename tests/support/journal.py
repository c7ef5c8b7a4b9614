"""What journalAgent (journal_agents.py) wrote down: an entry for each call that began."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def entries(journal: Path) -> list[dict[str, Any]]:
    """The entries so far: `path`, `key`, `time` and `pid` of each call."""
    lines = journal.read_text().splitlines() if journal.exists() else []
    return [json.loads(line) for line in lines]


def repeats(journal: Path) -> int:
    """How many calls were repetitions."""
    written = entries(journal)
    return len(written) - len({entry["key"] for entry in written})
