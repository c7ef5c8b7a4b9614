"""Changes each limit and runs its tests, which must fail; exits with 1 where one does not."""

from __future__ import annotations

import argparse
import sys
import time

from tests.limits import __doc__ as about
from tests.limits.probe import Verdict, probed, repository, table, verdict


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.limits", description=about)
    parser.add_argument("names", nargs="*", metavar="NAME", help="limits whose name contains it, else all")
    names = parser.parse_args().names
    limits = [limit for limit in table().limits if not names or any(name in limit.name for name in names)]
    if not limits:
        print(f"no limit is called {' or '.join(names)}", file=sys.stderr)
        return 2
    missed = 0
    with repository() as copy:
        tests = sorted({test for limit in limits for test in limit.tests})
        unchanged = verdict(tests, copy)
        if unchanged is not Verdict.MISSED:
            print(f"the tests fail without any change ({unchanged})", file=sys.stderr)
            return 2
        for limit in limits:
            began = time.monotonic()
            outcome = probed(limit, copy)
            missed += outcome is not Verdict.CAUGHT
            print(f"{outcome:7} {time.monotonic() - began:5.1f} s  {limit.name} {limit.change}", flush=True)
    print(f"{len(limits) - missed} of {len(limits)} limits caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
