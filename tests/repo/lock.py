"""Writes requirements.lock: `python -m tests.repo.lock` asks pip what it would install, with the hashes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.support import ROOT

LOCK = ROOT / "requirements.lock"
EXTRAS = "server,ui,aead"
HEAD = f"""\
# All that `pip install 'perdure[{EXTRAS}]'` installs on Linux x86-64 with Python 3.11, by version and hash.
# Written by `python -m tests.repo.lock`; elsewhere, write one of your own.
"""


def lines(report: Any) -> list[str]:
    """The requirements in a report of pip, without Perdure itself."""
    parts = [(item["metadata"], item["download_info"]) for item in report["install"]]
    return sorted(
        f"{about['name'].lower().replace('_', '-')}=={about['version']}"
        f" --hash=sha256:{source['archive_info']['hashes']['sha256']}"
        for about, source in parts
        if about["name"] != "perdure"
    )


def main() -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    command += ["--report", "-", f".[{EXTRAS}]"]
    report = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    LOCK.write_text(HEAD + "\n".join(lines(json.loads(report))) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
