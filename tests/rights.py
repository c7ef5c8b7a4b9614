"""python -m tests.rights [ROW …] [--count N]: who may do what, all of it by one command.

Each row names what must hold and the tests that show it. `labels` also plays N random graphs (10,000) whose
values carry where they come from. Prints a table, and exits with 1 if a row fails.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import ROOT
from tests.support.noninterference import Trial

ROWS = {
    "file": ("wrong policies are refused, with every problem", ["policy/test_parse.py"]),
    "algebra": ("what is narrowed is never widened", ["policy/test_grant.py"]),
    "matrix": ("attacks have no effect", ["policy/test_attacks.py", "policy/test_reach.py"]),
    "activity": ("a worker refuses forged calls", ["activities/test_gate.py", "workflows/test_policy.py"]),
    "ask": (
        "an approval holds for one call",
        ["policy/test_approvals.py", "workflows/test_approvals.py"],
    ),
    "budgets": ("what runs away is stopped", ["policy/test_budgets.py"]),
    "conditions": ("private data decides nothing that is sent", ["policy/test_conditions.py"]),
    "labels": (
        "untrusted data decides nothing, private data stays",
        ["policy/test_labels.py", "policy/test_tags.py"],
    ),
    "secrets": (
        "no canary anywhere",
        [
            *("policy/test_secret_rules.py", "agents/test_secrets.py", "workflows/test_secrets.py"),
            *("net/test_vaults.py", "cli/test_doctor_secrets.py"),
        ],
    ),
    "crypto": (
        "what is forged has no effect, and ends no good run",
        ["protocol/test_payload_codec.py", "workflows/test_payload_keys.py", "web/test_codec_app.py"],
    ),
    "starts": (
        "foreign starts end typed",
        [
            "workflows/test_foreign_starts.py",
            "workflows/test_hostile_starts.py",
            "workflows/test_principals.py",
        ],
    ),
    "ports": (
        "pages of browsers, other hosts and strangers get nothing from a port",
        ["server/test_server.py", "web/test_api.py", "web/test_codec_app.py", "local/test_server.py"],
    ),
    "transport": ("no plain text, certificates change", ["test_transport.py", "cli/test_codec.py"]),
    "cost": ("keys and a policy cost little", []),
    "audit": ("who did what, from the history", ["history/test_audit.py"]),
    "output": ("no text acts on a terminal", ["cli/test_alphabet.py"]),
}
IN_FULL = {"crypto": "tests.rights_keys", "cost": "tests.rights_cost"}
"""Modules that show more of a row than pytest does."""

LABEL_TRIAL_COUNT = 10_000


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.rights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--count", type=int, default=LABEL_TRIAL_COUNT, help="random graphs (%(default)s)")
    args = parser.parse_args()
    failed = 0
    for name, (promise, files) in ROWS.items():
        if args.rows and name not in args.rows:
            continue
        wrong = passed(files) if files else ""
        if name in IN_FULL:
            wrong = wrong or tested([sys.executable, "-m", IN_FULL[name]])
        if name == "labels":
            wrong = wrong or played(args.count)
        failed += bool(wrong)
        print(f"{'FAILED' if wrong else 'ok':<7} {name:<9} {wrong or promise}", flush=True)
    return 1 if failed else 0


def passed(files: list[str]) -> str:
    """What pytest says of these files, "" if all pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return tested([*command, *(f"tests/{file}" for file in files)])


def tested(command: list[str]) -> str:
    """What a command says that fails, "" if it ends well."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout[-2_000:]


def played(count: int) -> str:
    """What went wrong in random graphs, "" for nothing."""
    calls = refusals = 0
    with tempfile.TemporaryDirectory() as home:
        for seed in range(count):
            trial = Trial(seed)
            trial.play(Path(home))
            calls, refusals = calls + trial.calls, refusals + trial.refusals
            if trial.leaks:
                return f"seed {seed}: {trial.leaks[0]}"
    print(f"        {count:,} graphs: {calls:,} calls that send, {refusals:,} runs refused, no leak")
    return ""


if __name__ == "__main__":
    sys.exit(main())
