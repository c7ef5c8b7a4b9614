"""Looks at everything that Perdure depends on here, and says what to do about it.

Starts nothing and changes nothing: an embedded server that is not running stays so.

Exit codes: 0 all is well, or only warnings; 1 something is broken; 3 no server answers.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import asdict

from perdure import server
from perdure.agents.threads import in_thread
from perdure.cli import connection, logs, output
from perdure.cli.doctor.database import database
from perdure.cli.doctor.framework import Finding, State, checked, looked_at
from perdure.cli.doctor.machine import home, models, not_running, python, settings_read
from perdure.cli.doctor.payload_keys import payload_keys
from perdure.cli.doctor.secrets import secrets
from perdure.cli.doctor.store import store
from perdure.errors import UsageError
from perdure.settings import Settings, lenient, temporal_may_be_configured

EXAMPLES = """\
examples:
  perdure doctor
  perdure doctor --json                                for scripts
  TEMPORAL_ADDRESS=temporal:7233 perdure doctor        before the first worker is started there
"""
FINDING_MARKS = {State.OK: "✓", State.WARNING: "!", State.FAILED: "✗", State.NO_SERVER: "✗"}
CHECK_COLUMN_CHARS = 11

SERVER_CHECKS_TIMEOUT_S = 60.0
"""Seconds for all that a server is asked; each question has its own limit."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(args: argparse.Namespace) -> int:
    """Runs all checks and prints their findings."""
    logs.configure(verbose=args.verbose)
    settings, wrong = lenient()
    findings = connection.run(_findings(settings, wrong))
    worst = _worst(findings)
    if args.json:
        output.result(output.json_text({"state": worst, "checks": [asdict(finding) for finding in findings]}))
    else:
        output.result("\n".join(line for finding in findings for line in lines(finding)))
        output.note(_summary(findings))
    return {State.NO_SERVER: 3, State.FAILED: 1}.get(worst, 0)


def lines(finding: Finding) -> list[str]:
    """One line of the table, and what to do below it."""
    text = output.plain(finding.finding).replace("\n", " ")
    output_lines = [f"{FINDING_MARKS[finding.state]} {finding.check:<{CHECK_COLUMN_CHARS}} {text}"]
    return output_lines + [
        f"  {'':<{CHECK_COLUMN_CHARS}} → {line}" for line in output.plain(finding.hint).splitlines()
    ]


def _summary(findings: list[Finding]) -> str:
    warnings = sum(finding.state is State.WARNING for finding in findings)
    broken = sum(finding.state in (State.FAILED, State.NO_SERVER) for finding in findings)
    if not warnings and not broken:
        return "all is well"
    return f"{broken} broken, {warnings} to look at"


def _worst(findings: list[Finding]) -> State:
    order = (State.NO_SERVER, State.FAILED, State.WARNING)
    states = {finding.state for finding in findings}
    return next((state for state in order if state in states), State.OK)


async def _findings(settings: Settings, wrong: list[UsageError]) -> list[Finding]:
    parts = await asyncio.gather(
        looked_at("python", python),
        looked_at("settings", lambda: settings_read(wrong)),
        checked("server", lambda: _server(settings), SERVER_CHECKS_TIMEOUT_S),
        looked_at("home", lambda: home(settings)),
        looked_at("database", lambda: database(settings)),
        checked("store", lambda: store(settings)),
        looked_at("models", lambda: models(settings)),
        looked_at("secrets", lambda: secrets(settings), SERVER_CHECKS_TIMEOUT_S),
    )
    return [finding for part in parts for finding in part]


async def _server(settings: Settings) -> list[Finding]:
    """The findings about the server; the SDK is imported only if there may be a server to ask."""
    embedded = await in_thread("doctor-server", server.status, settings)
    if embedded is None and not temporal_may_be_configured():
        return [*not_running(settings), *payload_keys(settings, settings.codec or "mac")]
    from perdure.cli.doctor import server as server_checks  # noqa: PLC0415 -- loads the SDK

    logs.quiet_core()
    return await server_checks.all_of(settings, embedded)
