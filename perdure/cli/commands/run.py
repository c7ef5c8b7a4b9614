"""Runs a graph and prints its results as JSON.

With no server configured, Perdure starts its own on this machine and serves the run itself; what has
run is kept, and an interrupted run continues with `perdure result ID`. With TEMPORAL_ADDRESS or
a Temporal profile, that server is used, and its workers if it has any.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from perdure.cli import connection, logs, output, problems
from perdure.cli.inputs import graphs, loaders
from perdure.cli.inputs.local_data import data_option, with_data
from perdure.cli.running import outcome
from perdure.cli.running.local_models import OFF
from perdure.engine.messages import RunOptions
from perdure.errors import GraphError, UsageError
from perdure.graph.inputs import check_inputs
from perdure.graph.review import Review, review
from perdure.graph.values import Value
from perdure.settings import Settings, names

EXAMPLES = """\
examples:
  perdure run graph.yaml
  perdure run graph.yaml -i name=Anna -i 'people=[Ada, Alan]'     values are YAML
  perdure run graph.yaml -I article=article.txt                   from a file
  perdure run graph.yaml --agents ./mine.py                       with agents of your own
  perdure run graph.yaml --id nightly-3                           again: attaches to that run
  perdure run graph.yaml --detach                                 prints the id and leaves
  perdure run graph.yaml --quota seconds=3600                     no longer than an hour
  perdure run graph.yaml --in-memory                              no server, nothing is kept
"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A graph that was read and checked, with what it runs with."""

    document: dict[str, Value]
    name: str
    inputs: dict[str, Value]
    options: RunOptions
    agents: graphs.Agents
    unknown: GraphError | None


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("graph", metavar="GRAPH", help="a YAML or JSON file, - for stdin")
    outcome.configure(parser)
    parser.add_argument("--detach", action="store_true", help="start it, print its id, do not wait")
    parser.add_argument("--in-memory", action="store_true", help="run without a server; nothing is kept")
    graph_options(parser)


def graph_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say what a graph runs with."""
    parser.add_argument(
        "-i",
        "--input",
        action="append",
        default=[],
        metavar="NODE=VALUE",
        help="a value for a static node, in YAML; may be repeated",
    )
    parser.add_argument(
        "-I",
        "--input-file",
        action="append",
        default=[],
        metavar="NODE=FILE",
        help="the same from a file: a value if it is .yaml or .json, else its text",
    )
    parser.add_argument("--id", metavar="ID", help="the run's id; the same id attaches to the same run")
    graphs.agents_option(parser)
    graphs.filters_option(parser)
    data_option(parser)
    parser.add_argument("--queue", metavar="Q", help="the task queue of nodes that name none")
    parser.add_argument(
        "--quota",
        action="append",
        default=[],
        metavar="NAME=N",
        help="what the run may use up: calls, iterations, depth, bytes or seconds; may be repeated",
    )
    parser.add_argument(
        "--no-local", action="store_true", help="fail without an API key, instead of asking a local model"
    )
    parser.add_argument("--config", metavar="FILE", help="settings for agents: a mapping in YAML or JSON")


def main(args: argparse.Namespace) -> int:
    """Checks the graph, then runs it."""
    if args.in_memory and (args.detach or args.id or args.queue):
        raise UsageError("--in-memory keeps nothing: it goes without --detach, --id and --queue")
    logs.configure(verbose=args.verbose)
    settings = settings_of(args)
    made = prepared(args, strict=args.in_memory)
    output_options = outcome.output_options(args)
    if args.in_memory:
        from perdure.cli.running import memory  # noqa: PLC0415 -- each way to run loads only what it needs

        return connection.run(
            memory.run(made.document, made.agents, made.inputs, made.options, settings, output_options)
        )
    server_start = connection.begin(settings)
    from perdure.cli.running import run_session  # noqa: PLC0415 -- loads the SDK while the server starts

    command = run_session.RunCommand(
        document=made.document,
        name=made.name,
        inputs=made.inputs,
        options=made.options,
        agents=made.agents,
        unknown=made.unknown,
        id=args.id,
        queue=args.queue,
        detach=args.detach,
        output_options=output_options,
    )
    return connection.run(run_session.run(command, settings, server_start))


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings of the environment, and what the graph's path and the options change."""
    settings = with_data(Settings.from_env(), args.data)
    if args.graph != graphs.STDIN and not names("PERDURE_FILE_ROOT"):
        settings = replace(settings, file_root=Path(args.graph).absolute().parent)
    return replace(settings, local_model=OFF) if args.no_local else settings


def prepared(args: argparse.Namespace, *, strict: bool) -> Prepared:
    """Reads and checks what `graph_options` and the graph's path name. Raises GraphError and UsageError.

    With `strict`, an unknown agent stops the graph.
    """
    document = graphs.read(args.graph)
    inputs = graphs.inputs_of(args.input, args.input_file)
    config = graphs.config_of(args.config)
    quotas = graphs.quotas_of(args.quota)
    agents = graphs.agents_of(args.agents, args.filters)
    seen = review(document, agents.names(), is_bounded=bool(args.quota))
    unknown = _checked(seen, document.source, strict=strict)
    check_inputs(seen.data, inputs)
    nested = loaders.graphs_of(seen.data, args.graph) or None
    options = RunOptions(config=config, graphs=nested, quotas=quotas)
    return Prepared(seen.data, graphs.name_of(args.graph), inputs, options, agents, unknown)


def _checked(seen: Review, source: str, *, strict: bool) -> GraphError | None:
    """The findings of unknown agents, which another worker may have; others are reported here.

    Raises GraphError for what stops the graph; with `strict`, an unknown agent does.
    """
    fatal = [problem for problem in seen.problems if strict or problem.code != "unknown-agent"]
    if fatal:
        raise GraphError(seen.problems, source)
    mild = [problem for problem in seen.nested if strict or problem.code != "unknown-agent"]
    for problem in (*seen.warnings, *mild):
        output.note(problems.text(problem, source, "warning: "))
    unknown = [problem for problem in (*seen.problems, *seen.nested) if problem not in mild]
    return GraphError(unknown, source) if unknown else None
