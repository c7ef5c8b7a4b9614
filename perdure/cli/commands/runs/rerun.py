"""Repeats a run with a change, or from where it failed: calls only what the change makes necessary.

It is a new run, with the id of the old one and a number: `nightly-3~2`. The old one stays as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from perdure.cli import connection, logs, output
from perdure.cli.inputs import graphs
from perdure.cli.progress.spent import cost_text
from perdure.cli.running import outcome
from perdure.errors import UsageError
from perdure.graph.text.shown import line
from perdure.graph.values import Value
from perdure.settings import Settings

if TYPE_CHECKING:
    from perdure.cli.connection import ServerStart
    from perdure.history.rerun import RerunPlan
    from perdure.lineage.change import Change
    from perdure.lineage.forecast import ForecastRow

EXAMPLES = """\
examples:
  perdure rerun nightly-3                                    from where it failed
  perdure rerun nightly-3 --dry-run                          what would run, and what it took last time
  perdure rerun nightly-3 --from 'chapters[3].draft'         call this again, and what then differs
  perdure rerun nightly-3 --set topic=sea                    another value; of an agent: its result
  perdure rerun nightly-3 --with openAIAgent.model=gpt-5     another param, for an agent or one node
  perdure rerun nightly-3 --graph new.yaml --rename old=new  another graph
"""
RERUN_COLUMN_TITLES = ("node", "agent", "reused", "runs", "last time", "why")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("id", metavar="ID", help="the run to repeat")
    repeated(parser, "--from", "NODE", "call this node again: chapters[].draft, or one row of it")
    repeated(parser, "--set", "NODE=VALUE", "a value for a static node, or the result of an agent, in YAML")
    repeated(parser, "--with", "AGENT.PARAM=VALUE", "a param of all nodes of an agent, or NODE.PARAM")
    parser.add_argument("--failed", action="store_true", help="change nothing: what has no result runs")
    parser.add_argument("--graph", metavar="FILE", help="run this graph instead")
    repeated(parser, "--rename", "OLD=NEW", "with --graph: the node OLD is called NEW there")
    parser.add_argument(
        "--ask-again",
        action="append",
        nargs="?",
        const="*",
        default=[],
        metavar="NODE",
        help="ask people again: at one node, or everywhere",
    )
    parser.add_argument("--force", action="store_true", help="run all that depends on a change")
    parser.add_argument(
        "--changed-agents", action="store_true", help="call agents again whose code has changed since"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would run; start nothing")
    parser.add_argument("--id", dest="new_id", metavar="NEW", help="the id of the new run")
    parser.add_argument("--detach", action="store_true", help="start it, print its id, do not wait")
    outcome.configure(parser)
    graphs.agents_option(parser)
    graphs.filters_option(parser)


def repeated(parser: argparse.ArgumentParser, option: str, value: str, help: str) -> None:
    """Adds an option that may be repeated."""
    name = option.strip("-") + "_options"
    parser.add_argument(
        option, dest=name, action="append", default=[], metavar=value, help=f"{help}; may be repeated"
    )


def main(args: argparse.Namespace) -> int:
    """Starts the new run and waits for its end, or only shows what it would do."""
    logs.configure(verbose=args.verbose)
    settings = Settings.from_env()
    server_start = connection.begin(settings)
    change = change_of(args)
    if args.dry_run:
        return connection.run(_plan(args, change, settings, server_start))
    return connection.run(_follow(args, change, settings, server_start))


def change_of(args: argparse.Namespace) -> Change:
    """The change that the options describe. Raises UsageError and GraphError."""
    from perdure.lineage.change import Change  # noqa: PLC0415 -- loads the engine, which other commands need not

    graph: Mapping[str, Value] | None = None
    if args.graph is not None:
        graph = graphs.read(args.graph).data
    elif args.rename_options:
        raise UsageError("--rename says how nodes are called in another graph", hint="add --graph FILE")
    return Change(
        begin_at=args.from_options,
        values=graphs.inputs_of(args.set_options, (), "--set"),
        graph=graph,
        renames=dict(_pair(text) for text in args.rename_options),
        params=graphs.inputs_of(args.with_options, (), "--with"),
        asks_again=args.ask_again,
        force=args.force,
        changed_agents=args.changed_agents,
    )


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise UsageError(f"--rename {text!r}: write --rename OLD=NEW")
    return old, new


async def _follow(
    args: argparse.Namespace, change: Change, settings: Settings, server_start: ServerStart | None
) -> int:
    from perdure.cli.running import run_session  # noqa: PLC0415 -- loads the SDK while the server starts

    agents = graphs.agents_of(args.agents, args.filters)
    async with connection.connected(settings, server_start) as client:
        new = await client.get(args.id).rerun(change, id=args.new_id)
        if args.detach:
            output.result(new.id)
            return 0
        output.note(f"run {new.id}: perdure status {new.id}")
        return await run_session.result(new.id, agents, outcome.output_options(args), settings, server_start)


async def _plan(
    args: argparse.Namespace, change: Change, settings: Settings, server_start: ServerStart | None
) -> int:
    from perdure.activities.directory import registry_with_code  # noqa: PLC0415 -- loads the agents
    from perdure.history.spent import prices_of  # noqa: PLC0415 -- loads what replays

    agents = graphs.agents_of(args.agents, args.filters)
    async with connection.connected(settings, server_start) as client:
        run, own = client.get(args.id), registry_with_code(agents.by_name)
        plan = await run.plan_rerun(change, prices=prices_of(settings), own=own)
    output.result(output.json_text(asdict(plan)) if args.json else "\n".join(lines(plan)))
    return 0


def lines(plan: RerunPlan) -> list[str]:
    """The plan for people: a row for each node, then the sum."""
    table = output.table(RERUN_COLUMN_TITLES, [_row(row) for row in plan.rows])
    open_end = "" if plan.is_complete else ", and what follows from these"
    total = (
        f"{plan.reused:,} {'call' if plan.reused == 1 else 'calls'} reused, {plan.runs:,} to run{open_end}"
    )
    cost = cost_text(plan.seconds, plan.tokens, plan.money)
    parts = [table, f"{total}; what is not reused took {cost} the last time" if cost else total]
    if plan.changed_agents:
        parts.append(
            f"the code of {', '.join(plan.changed_agents)} has changed: --changed-agents calls again"
        )
    if plan.effects:
        parts.append(f"may have effects, and may be called: {', '.join(plan.effects)}")
    return [*parts, f"it stops with: {line(plan.problem)}"] if plan.problem else parts


def _row(row: ForecastRow) -> Sequence[str]:
    runs = f"{row.runs or ''}{'?' if row.is_unknown else ''}"
    cost = cost_text(row.seconds, row.tokens, row.money)
    return [row.address, row.agent, str(row.reused or ""), runs, cost, line(row.why)]
