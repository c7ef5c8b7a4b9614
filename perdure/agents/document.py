"""The text of docs/agents.md, and of pages like it, made of what the agents say about themselves.

python -m perdure.agents.document > docs/agents.md
python -m perdure.agents.document perdure.agents.distributed.agents > docs/agents_distributed.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from perdure.agents.agent import Agent, Sample
from perdure.agents.catalog import catalog, load_agents
from perdure.agents.shipped.graph_agents import DESCRIBED_GRAPH_AGENTS
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.graph.javascript import stringify
from perdure.graph.text.yaml_write import write_yaml

HEAD: Final = """\
# Agents

What comes with Perdure. This page is generated (`python -m perdure.agents.document`);
`perdure agents` and `perdure agents NAME` show the same, for your own agents as well.

A *pure* agent is a quick function of its inputs and params. It runs in the worker that advances the
run, as a local activity; other agents run as activities of their own, on any worker that serves their
task queue. Graph agents run as nodes of the same run: the engine carries them out.

In the tables, a bold name is required. Numbers are doubles, as everywhere in a graph.
"""

MODULE_HEAD: Final = """\
# Agents of {module}

This page is generated (`python -m perdure.agents.document {module}`). A worker has these agents
with `--agents {module}`; `perdure agents --agents {module}` shows them.
[Agents](agents.md) explains the words, and lists what every worker has. In the tables, a bold name is
required, and a default is in parentheses.
"""

ENGINE: Final = "in the engine: its nodes are nodes of the run"


def document(agents: Sequence[Agent], head: str = HEAD) -> str:
    """The whole page: an index, and a section for each agent by category."""
    parts = [head, _index(agents)]
    for category in _categories(agents):
        parts.append(f"## {category}\n")
        parts += [_section(agent) for agent in agents if agent.category[0] == category]
    return "\n".join(parts)


def shipped() -> list[Agent]:
    """The agents to document, by name: not those that are parts of another, as in `toolsAgent.data`."""
    agents_by_name = {**catalog(), **{agent.name: agent for agent in DESCRIBED_GRAPH_AGENTS}}
    return [agents_by_name[name] for name in sorted(agents_by_name, key=str.lower) if "." not in name]


def of_module(module: str) -> str:
    """The page of the agents of a module."""
    agents = load_agents(module)
    listed = [agents[name] for name in sorted(agents, key=str.lower)]
    return document(listed, MODULE_HEAD.format(module=module))


def _categories(agents: Sequence[Agent]) -> list[str]:
    return sorted({agent.category[0] for agent in agents})


def _index(agents: Sequence[Agent]) -> str:
    rows = [
        (category, ", ".join(_link(agent) for agent in agents if agent.category[0] == category))
        for category in _categories(agents)
    ]
    return _table(("category", "agents"), rows)


def _link(agent: Agent) -> str:
    return f"[{agent.name}](#{agent.name.lower()})"


def _section(agent: Agent) -> str:
    parts = [f"### {agent.name}\n", f"{agent.description.rstrip('.')}. Runs {placement(agent)}.\n"]
    schemas = (("input", agent.inputs), ("param", agent.params), ("output", agent.output))
    rows = [row for part, schema in schemas for row in _rows(part, schema)]
    if rows:
        parts.append(_table(("", "name", "type", "meaning"), rows))
    parts += [f"```yaml sample\n{write_yaml(_shown(sample))}```\n" for sample in agent.samples]
    return "\n".join(parts)


def placement(agent: Agent) -> str:
    """Where an agent runs, in words."""
    if agent.name in GRAPH_AGENTS:
        return ENGINE
    if agent.human:
        return "nowhere: the run waits for a person"
    if agent.waits:
        return "nowhere: the run waits itself"
    return "as a local activity (pure)" if agent.pure else "as an activity"


def _shown(sample: Sample) -> dict[str, Any]:
    facts = {"inputs": sample.inputs, "params": sample.params, "graph": sample.graph}
    return {**{key: value for key, value in facts.items() if value}, "result": sample.result}


def _rows(part: str, schema: Mapping[str, Any] | None) -> Iterator[tuple[str, ...]]:
    """A row for each property; one without a name for a schema that is about the whole value."""
    if schema is None:
        return
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    if not properties:
        yield part, "", type_of(schema), schema.get("description", "")
    for name, inner in properties.items():
        marked = f"**`{name}`**" if name in schema.get("required", ()) and part != "output" else f"`{name}`"
        yield part, marked, type_of(inner), _meaning(inner)


def _meaning(schema: Mapping[str, Any]) -> str:
    """The description, and the default if there is one that says something."""
    description, default = schema.get("description", ""), schema.get("default")
    return (
        description if default is None or default == "" else f"{description} ({stringify(default)})".strip()
    )


def type_of(schema: Mapping[str, Any]) -> str:
    """The type that a JSON Schema asks for, in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{stringify(value)}`" for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " or ".join(type_of(choice) for choice in schema["anyOf"])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(map(str, kind))  # pyright: ignore[reportUnknownArgumentType] -- from JSON
    if kind == "array" and schema.get("items"):
        return f"array of {type_of(schema['items'])}"
    if kind == "object" and schema.get("properties"):
        return f"object with {', '.join(f'`{name}`' for name in schema['properties'])}"
    return str(kind)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in cells)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr] -- standard output is a TextIOWrapper
    sys.stdout.write(of_module(sys.argv[1]) if sys.argv[1:] else document(shipped()))
