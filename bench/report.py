"""python -m bench.report: puts the results of docs/performance.json into docs/performance.md, with plots.

The document has a place for each comparison, between two comments; nothing else in it is touched.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from bench import peers, tables
from bench.plots import drawable
from bench.processes import ROOT, environment

DOCUMENT = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "docs" / "performance.json"
PLOTS = ROOT / "docs" / "plots"

_BLOCK = re.compile(r"^<!-- results (\S+) -->\n.*?^<!-- end -->$", re.M | re.S)


def main() -> int:
    """Fills the document and draws the plots."""
    results = json.loads(RESULTS.read_text())
    DOCUMENT.write_text(filled(DOCUMENT.read_text(), results))
    words = [peers.python(), "-m", "bench.plots", str(RESULTS), str(PLOTS)]
    return subprocess.run(words, env=environment(), check=False).returncode


def filled(document: str, results: Mapping[str, Any]) -> str:
    """The document with the results in their places."""

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        if name == "machine":
            text = _machine(results)
        elif name == "summary":
            text = f"\n{tables.summary(results['comparisons'])}\n"
        else:
            text = _comparison(results["comparisons"].get(name))
        return f"<!-- results {name} -->\n{text}<!-- end -->"

    return _BLOCK.sub(fill, document)


def places(document: str) -> list[str]:
    """The names of the places that the document has for results."""
    return [match[1] for match in _BLOCK.finditer(document)]


def _comparison(compared: Mapping[str, Any] | None) -> str:
    if compared is None:
        return "\nNot measured yet.\n\n"
    plot = f"![{compared['title']}](plots/{compared['name']}.svg)\n\n" if drawable(compared) else ""
    return f"\n{tables.markdown(compared)}\n{plot}"


def _machine(results: Mapping[str, Any]) -> str:
    machine = results["machine"]
    versions = ", ".join(f"{name} {text}" for name, text in machine["versions"].items())
    dates = sorted({each["date"] for each in results["comparisons"].values()})
    return f"\n{machine['cores']} cores, {machine['system']}; {versions}; measured {' and '.join(dates)}.\n\n"


if __name__ == "__main__":
    sys.exit(main())
