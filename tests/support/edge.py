"""The device and the hub that docs/edge.md shows: its files, and what they are to give."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support import ROOT

PAGE = (ROOT / "docs" / "edge.md").read_text()

STORE = """\
from perdure import agent


@agent("visitorAgent")
def visitors(inputs, context):
    with context.data("cameras").path.open() as frames:
        minute = next(line.split() for line in frames if line.split()[0] == str(inputs["minute"]))
    count = int(minute[0]) * len(minute[1])
    return {"runs": 1, "visitors": count, "squares": count * count}
"""
"""As the agent of the page, with numbers by which each run differs from all others."""


def page_file(name: str) -> str:
    """A file that the page shows."""
    match = re.search(rf"^```\S+ file {re.escape(name)}\n(.*?)^```$", PAGE, re.M | re.S)
    assert match, name
    return match[1]


def written(folder: Path, count: int, frame: str) -> Path:
    """The files of both, for this many runs: each reads a line with a frame that stays on the device."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("visit.yaml", "routes.yaml"):
        (folder / name).write_text(page_file(name))
    (folder / "total.yaml").write_text(page_file("total.yaml").replace("1000", str(count)))
    (folder / "store.py").write_text(STORE)
    (folder / "frames.txt").write_text("".join(f"{n} xxx {frame}\n" for n in range(count)))
    return folder


def expected(count: int) -> dict[str, int]:
    """What the run of the hub gives if it has each run of the device once."""
    numbers = [3 * n for n in range(count)]
    return {"runs": count, "visitors": sum(numbers), "squares": sum(n * n for n in numbers)}
