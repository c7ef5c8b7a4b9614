"""Finds every problem of one or more graphs: place, finding, hint. Runs nothing, asks no server."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from perdure.agents.agent import Agent
from perdure.agents.label_facts import authority_of
from perdure.cli import output, problems
from perdure.cli.inputs import graphs
from perdure.engine.granting.authority import Authority
from perdure.engine.granting.verdicts import refusals
from perdure.errors import GraphError
from perdure.graph.review import Review, review
from perdure.settings import Settings
from perdure.settings.policy_file import PolicyFile

EXAMPLES = """\
examples:
  perdure check graph.yaml
  perdure check examples/*/graph.yaml --json
  perdure check graph.yaml --agents mycompany.agents     agents of your own count as known

exit codes: 0 no problems, 2 problems
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("graphs", nargs="+", metavar="GRAPH", help="a YAML or JSON file, - for stdin")
    graphs.agents_option(parser)
    parser.add_argument("--json", action="store_true", help="findings as JSON")


def main(args: argparse.Namespace) -> int:
    """0 if there is no problem, else 2. Problems of nested graphs count."""
    agents, settings = graphs.agents_of(args.agents), Settings.from_env()
    queues = allowed_queues(settings, agents.by_name.values())
    authority = authority_of(agents.by_name, settings, PolicyFile(settings.policy).current())
    findings: list[dict[str, Any]] = []
    lines: list[str] = []
    for path in args.graphs:
        about = [*_findings(path, agents.names(), queues, authority)]
        findings += [problems.plain(problem, path, severity) for severity, problem in about]
        lines += [problems.text(problem, path, _kind(severity)) for severity, problem in about]
        if not about:
            lines.append(f"{path}: no problems")
    wrong = any(item["severity"] == "error" for item in findings)
    output.result(
        output.json_text({"ok": not wrong, "findings": findings})
        if args.json
        else output.plain("\n".join(lines))
    )
    return 2 if wrong else 0


def _findings(
    path: str, names: Sequence[str], queues: Collection[str] | None, authority: Authority
) -> list[tuple[str, Any]]:
    try:
        document = graphs.read(path)
        seen: Review = review(document, names, queues=queues)
    except GraphError as error:  # the text cannot be read
        return [("error", problem) for problem in error.problems]
    errors = [("error", problem) for problem in (*seen.problems, *seen.nested)]
    refused = () if errors else refusals(document, authority)
    return errors + [("warning", problem) for problem in (*seen.warnings, *refused)]


def allowed_queues(settings: Settings, agents: Iterable[Agent]) -> Collection[str] | None:
    """The task queues that a worker with these settings and agents allows; None for any."""
    queues = {settings.queue, *settings.queues, *(agent.queue for agent in agents if agent.queue)}
    return None if "*" in queues else queues


def _kind(severity: str) -> str:
    return "warning: " if severity == "warning" else ""
