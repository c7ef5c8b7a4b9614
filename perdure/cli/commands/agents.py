"""Lists the agents, or describes one: inputs, params, output and samples as YAML."""

from __future__ import annotations

import argparse
from difflib import get_close_matches
from typing import Any

from perdure.agents.agent import Agent, Sample
from perdure.agents.shipped.graph_agents import DESCRIBED_GRAPH_AGENTS
from perdure.cli import output
from perdure.cli.inputs import graphs
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.errors import UsageError
from perdure.graph.text.yaml_write import write_yaml

EXAMPLES = """\
examples:
  perdure agents                           all shipped agents
  perdure agents stringTemplateAgent       one of them
  perdure agents --agents ./mine.py        those and your own
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="describe this agent")
    graphs.agents_option(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(args: argparse.Namespace) -> int:
    """Prints the list, or the one agent."""
    by_name = graphs.agents_of(args.agents)
    if args.name is not None:
        about = _about(args.name, by_name)
        output.result(output.json_text(about) if args.json else write_yaml(about).rstrip("\n"))
        return 0
    agents = _all(by_name)
    if args.json:
        output.result(output.json_text([_brief(agent) for agent in agents.values()]))
    else:
        rows = [[agent.name, ", ".join(agent.category), agent.description] for agent in agents.values()]
        output.result(output.table(("agent", "category", "does"), rows))
    return 0


def _brief(agent: Agent) -> dict[str, Any]:
    return {"name": agent.name, "category": agent.category, "description": agent.description}


def _all(by_name: graphs.Agents) -> dict[str, Agent]:
    """All agents by name; those with a dot in it are parts of others."""
    every = {**by_name.by_name, **{agent.name: agent for agent in DESCRIBED_GRAPH_AGENTS}}
    return {name: every[name] for name in sorted(every, key=str.lower) if "." not in name}


def _about(name: str, by_name: graphs.Agents) -> dict[str, Any]:
    agent = by_name.by_name.get(name) or _all(by_name).get(name)
    if agent is not None:
        return describe(agent)
    matches = get_close_matches(name, by_name.names(), n=1)
    hint = f"did you mean {matches[0]!r}?" if matches else "perdure agents lists them"
    raise UsageError(f"there is no agent {name!r}", hint=hint)


def describe(agent: Agent) -> dict[str, Any]:
    """All that people may want to know of an agent."""
    facts: dict[str, Any] = {
        "agent": agent.name,
        "description": agent.description,
        "category": list(agent.category),
        "runs": _placement(agent),
        "queue": agent.queue,
        "inputs": agent.inputs,
        "params": agent.params,
        "output": agent.output,
        "samples": [_sample(sample) for sample in agent.samples],
    }
    return {key: value for key, value in facts.items() if value not in (None, [], "")}


def _placement(agent: Agent) -> str:
    if agent.name in GRAPH_AGENTS:
        return "in the engine: the nodes of its graph are nodes of the run"
    if agent.human:
        return "waits for a person"
    if agent.waits:
        return "in the run, which waits without a worker"
    return "in the worker that advances the run" if agent.pure else "as an activity of its own"


def _sample(sample: Sample) -> dict[str, Any]:
    facts = {"inputs": sample.inputs, "params": sample.params, "graph": sample.graph}
    sample_facts = {key: value for key, value in facts.items() if value not in (None, {})}
    return {**sample_facts, "result": sample.result}
