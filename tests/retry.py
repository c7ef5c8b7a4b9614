"""python -m tests.retry: runs the few tests that failed in the last run of pytest again, without company.

A test that fails among others and passes alone has a race, or too little time on a busy machine. It need not
stop an unrelated change, but it is listed, so that it is fixed. What fails twice has
failed, and so has what is skipped or missing the second time: 0 is returned only if each of them has passed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

MAX_FAILURES = 5
"""More have a reason in common, and are not tried again."""

BAD = ("failure", "error", "skipped")
FAILED = Path(".pytest_cache/v/cache/lastfailed")


def main() -> int:
    """The exit code: 0 if all that failed have passed now."""
    failed = list(json.loads(FAILED.read_text())) if FAILED.exists() else []
    if not 0 < len(failed) <= MAX_FAILURES:
        return 1
    print(f"\nThe {len(failed)} that failed, again and alone:", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        words = [f"--junit-xml={report}", *failed]  # --last-failed runs other tests if these are missing
        code = subprocess.call([sys.executable, "-m", "pytest", *words])
        if code != 0 or not all_passed(report, len(failed)):
            return 1
    print("passed alone, look for a race:", *failed, sep="\n  ", flush=True)
    return 0


def all_passed(report: Path, count: int) -> bool:
    """Whether at least this many tests ran, by the report of a run, and none was skipped or failed."""
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    return len(cases) >= count and not any(case.find(kind) is not None for case in cases for kind in BAD)


if __name__ == "__main__":
    sys.exit(main())
