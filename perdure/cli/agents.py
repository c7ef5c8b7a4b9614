"""Lists the agents there are, or tells all about one: inputs, params, output and samples as YAML."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from perdure.activities.agent import Agent, Sample
from perdure.cli import graphs, output
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.errors import UsageError
from perdure.graph.yaml_write import write_yaml

EXAMPLES = """\
examples:
  perdure agents                           all shipped agents
  perdure agents stringTemplateAgent       one of them
  perdure agents --agents ./mine.py        those and your own
"""

ENGINE = {
    "nestedAgent": "Runs the graph of its node once; each input is a static node in it",
    "mapAgent": "Runs the graph of its node for each item of the input `rows`, called `row` in it",
    "stringUpdateTextAgent": "The input `newText`, or `oldText` where that is empty",
}
"""What the agents do that the engine itself carries out."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="tell all about this agent")
    graphs.agents_option(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(args: argparse.Namespace) -> int:
    """Prints the list, or the one agent."""
    known = graphs.agents_of(args.agents)
    if args.name is None:
        rows = [
            [name, ", ".join(item["category"]), item["description"]] for name, item in _all(known).items()
        ]
        listed = [{"name": name, **item} for name, item in _all(known).items()]
        output.result(output.json_text(listed) if args.json else output.table(_HEADS, rows))
        return 0
    found = known.known.get(args.name)
    if found is None:
        raise _unknown(args.name, known)
    about = describe(found)
    output.result(output.json_text(about) if args.json else write_yaml(about).rstrip("\n"))
    return 0


_HEADS = ("agent", "category", "does")


def _all(known: graphs.Agents) -> Mapping[str, Mapping[str, Any]]:
    engine = {name: {"category": ("graph",), "description": ENGINE.get(name, "")} for name in GRAPH_AGENTS}
    agents = {
        name: {"category": agent.category, "description": agent.description}
        for name, agent in known.known.items()
    }
    return dict(sorted({**engine, **agents}.items(), key=lambda item: item[0].lower()))


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


def _unknown(name: str, known: graphs.Agents) -> UsageError:
    if name in GRAPH_AGENTS:
        return UsageError(f"{name}: {ENGINE.get(name, 'the engine carries it out')}; see docs/agents.md")
    near = get_close_matches(name, known.names(), n=1)
    cure = f"did you mean {near[0]!r}?" if near else "perdure agents lists them"
    return UsageError(f"there is no agent {name!r}; {cure}")
