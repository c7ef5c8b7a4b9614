"""The arguments of commands: graph files, agents of the user's own, inputs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perdure.agents.agent import Agent
from perdure.agents.catalog import ENTRY_POINTS, catalog, load_agents, load_entry_point, load_filters
from perdure.agents.filters import AgentFilter
from perdure.cli import output
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.engine.messages import Quotas
from perdure.errors import GraphError, UsageError
from perdure.graph.text.document import Document
from perdure.graph.text.load import load, load_value
from perdure.graph.values import Value, is_dict

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Agents:
    """The agents a command knows: those that are shipped and those of `modules`, and what filters them."""

    modules: tuple[str, ...] = ()
    by_name: dict[str, Agent] = field(default_factory=dict[str, Agent])
    filter_modules: tuple[str, ...] = ()
    filters: tuple[AgentFilter, ...] = ()

    @property
    def origins(self) -> tuple[str, ...]:
        """Everything that makes this process another worker than one without options."""
        return (*self.modules, *(f"filters {module}" for module in self.filter_modules))

    @property
    def options(self) -> str:
        """The command-line options that name the same agents and filters."""
        agents = "".join(f" --agents {module}" for module in self.modules)
        return agents + "".join(f" --filters {module}" for module in self.filter_modules)

    def names(self) -> list[str]:
        """All that a graph may name, those that the engine itself carries out included."""
        return [*self.by_name, *GRAPH_AGENTS]


def agents_option(parser: argparse.ArgumentParser) -> None:
    """Adds --agents."""
    parser.add_argument(
        "--agents",
        action="append",
        default=[],
        metavar="MODULE",
        help="agents of your own: a module, a .py file, or an entry point; may be repeated",
    )


def filters_option(parser: argparse.ArgumentParser) -> None:
    """Adds --filters."""
    parser.add_argument(
        "--filters",
        action="append",
        default=[],
        metavar="MODULE",
        help="filters around agents: a module or .py file with a list `filters`; may be repeated",
    )


def agents_of(modules: Sequence[str], filter_modules: Sequence[str] = ()) -> Agents:
    """The shipped agents, those of `modules`, and filters; modules are imported. Raises UsageError."""
    by_name = catalog()
    if modules or filter_modules:
        output.reserve()
    for module in modules:
        by_name |= load_entry_point(module) if _is_offered(module) else load_agents(module)
    filters = [one for module in filter_modules for one in load_filters(module)]
    return Agents(tuple(modules), by_name, tuple(filter_modules), tuple(filters))


def _is_offered(name: str) -> bool:
    from importlib.metadata import entry_points  # noqa: PLC0415 -- reads all installed packages

    return bool(entry_points(group=ENTRY_POINTS, name=name))


def read(path: str) -> Document:
    """The graph in a file, or on stdin for "-". Raises UsageError, or GraphError with its place."""
    if path == STDIN:
        return load(sys.stdin.buffer.read(), source="stdin")
    return load(content(path), source=path)


def content(path: str) -> bytes:
    """The bytes of a file. Raises UsageError."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise UsageError(
            f"{path}: there is no such file", hint=f"the path is taken from {Path.cwd()}"
        ) from None
    except IsADirectoryError:
        raise UsageError(
            f"{path} is a folder", hint=f"name the file, such as {Path(path, 'graph.yaml')}"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', error)}") from error


def name_of(path: str) -> str:
    """What a run of this file is called: the file's name, or the folder's where that says more."""
    file = Path(path)
    if path == STDIN:
        return "stdin"
    folder = file.absolute().parent.name
    return folder if file.stem == "graph" and folder else file.stem


def inputs_of(values: Sequence[str], files: Sequence[str], option: str = "-i") -> dict[str, Value]:
    """The inputs of ``-i NODE=VALUE``, or of another `option`, and ``-I NODE=FILE``. Raises UsageError."""
    inputs: dict[str, Value] = {}
    for text in values:
        node, value = _split(option, text, "VALUE")
        try:
            inputs[node] = load_value(value)
        except GraphError as error:
            problem = error.problems[0]
            hint = f"quote it for YAML, such as {_lead(option)}'name=\"a: b\"'"
            hint += ", or give it in a file with -I" if option == "-i" else ""
            raise UsageError(
                f"{_lead(option)}{node}: the value is not YAML: {problem.finding}", hint=hint
            ) from error
    for text in files:
        node, path = _split("-I", text, "FILE")
        inputs[node] = file_value(path)
    return inputs


def _split(option: str, text: str, what: str) -> tuple[str, str]:
    node, equals, rest = text.partition("=")
    if not equals or not node:
        raise UsageError(f"{_lead(option)}{text!r}: write {_lead(option)}NODE={what}")
    return node, rest


def _lead(option: str) -> str:
    """What an assignment begins with: "" if it is an argument of its own."""
    return f"{option} " if option else ""


def file_value(path: str) -> Value:
    """What a file holds: a value if it is YAML or JSON by its name, else its text."""
    data = content(path)
    if Path(path).suffix.lower() in (".json", ".yaml", ".yml"):
        return load(data, source=path).data
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError(
            f"{path}: is not UTF-8 text", hint="name it .json or .yaml if it is such a value"
        ) from None


def quotas_of(assignments: Sequence[str]) -> Quotas:
    """The quotas of strings NAME=N."""
    quotas: dict[str, float] = {}
    for text in assignments:
        name, _, number = text.partition("=")
        try:
            quotas[name] = float(number)
        except ValueError:
            raise UsageError(f"--quota {text}: no number", hint="write --quota seconds=3600, say") from None
    return Quotas.of(quotas)


def config_of(path: str | None) -> dict[str, Any]:
    """The mapping in a --config file."""
    value: Value = {} if path is None else load(content(path), source=path).data
    if not is_dict(value):
        raise UsageError(f"{path}: --config takes a mapping from agents to settings, or of settings")
    return value
