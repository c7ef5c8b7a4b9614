"""Lists the agents there are, or tells all about one: inputs, params, output and samples as YAML."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from perdure.activities.agent import Agent, Sample
from perdure.cli import graphs, output
from perdure.cli.engine_agents import ENGINE_AGENTS
from perdure.errors import UsageError
from perdure.graph.yaml_write import write_yaml

EXAMPLES = """\
examples:
  perdure agents                           all shipped agents
  perdure agents stringTemplateAgent       one of them
  perdure agents --agents ./mine.py        those and your own
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="tell all about this agent")
    graphs.agents_option(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(args: argparse.Namespace) -> int:
    """Prints the list, or the one agent."""
    known = graphs.agents_of(args.agents)
    if args.name is not None:
        about = _about(args.name, known)
        output.result(output.json_text(about) if args.json else write_yaml(about).rstrip("\n"))
        return 0
    found = _all(known)
    if args.json:
        output.result(output.json_text([{"name": name, **item} for name, item in found.items()]))
    else:
        rows = [[name, ", ".join(item["category"]), item["description"]] for name, item in found.items()]
        output.result(output.table(("agent", "category", "does"), rows))
    return 0


def _all(known: graphs.Agents) -> Mapping[str, Mapping[str, Any]]:
    """Name, category and description of all; a dot marks those that only the engine's own graphs use."""
    engine = {
        name: {"category": ("graph",), "description": about["description"]}
        for name, about in ENGINE_AGENTS.items()
    }
    agents = {
        name: {"category": agent.category, "description": agent.description}
        for name, agent in known.known.items()
        if "." not in name
    }
    return dict(sorted({**engine, **agents}.items(), key=lambda item: item[0].lower()))


def _about(name: str, known: graphs.Agents) -> dict[str, Any]:
    if name in known.known:
        return describe(known.known[name])
    if name in ENGINE_AGENTS:
        return {"agent": name, **ENGINE_AGENTS[name], "runs": "in the engine, as nodes of its graph"}
    near = get_close_matches(name, known.names(), n=1)
    cure = f"did you mean {near[0]!r}?" if near else "perdure agents lists them"
    raise UsageError(f"there is no agent {name!r}; {cure}")


def describe(found: Agent) -> dict[str, Any]:
    """All that people may want to know of an agent."""
    facts: dict[str, Any] = {
        "agent": found.name,
        "description": found.description,
        "category": list(found.category),
        "runs": _placement(found),
        "queue": found.queue,
        "inputs": found.inputs,
        "params": found.params,
        "output": found.output,
        "samples": [_sample(sample) for sample in found.samples],
    }
    return {key: value for key, value in facts.items() if value not in (None, [], "")}


def _placement(found: Agent) -> str:
    if found.human:
        return "waits for a person"
    return "in the worker that advances the run" if found.pure else "as an activity of its own"


def _sample(sample: Sample) -> dict[str, Any]:
    facts = {"inputs": sample.inputs, "params": sample.params, "graph": sample.graph}
    given = {key: value for key, value in facts.items() if value not in (None, {})}
    return {**given, "result": sample.result}
