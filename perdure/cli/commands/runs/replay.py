"""Repeats recorded runs with a change, without effects, and shows what is different.

Calls that the change does not reach are reused. Agents that may have effects are not called: they give what
they gave. Only pure agents, those of models, and those that you name with --call are.
"""

from __future__ import annotations

import argparse
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from perdure.cli import connection, output
from perdure.cli.commands.runs import diff, rerun
from perdure.cli.inputs import graphs
from perdure.errors import RunFailed, UsageError
from perdure.lineage.compare import CallDifference, call_differences
from perdure.settings import Settings

if TYPE_CHECKING:
    from perdure.client import GraphClient
    from perdure.lineage.change import Change
    from perdure.runs import Run

EXAMPLES = """\
examples:
  perdure replay nightly-3 --with openAIAgent.model=gpt-5                  another model
  perdure replay nightly-1 nightly-2 --graph new.yaml                      another graph, for two runs
  perdure replay nightly-3 --with draft.temperature=0 --keep-upstream      each call with its old inputs
  perdure replay nightly-3 --with draft.temperature=1 --repeat 5           how much results vary
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("ids", metavar="ID", nargs="+", help="the runs to repeat")
    rerun.repeated(parser, "--from", "NODE", "call this node again")
    rerun.repeated(parser, "--set", "NODE=VALUE", "a value for a static node, or the result of an agent")
    rerun.repeated(parser, "--with", "AGENT.PARAM=VALUE", "a param of all nodes of an agent, or NODE.PARAM")
    parser.add_argument("--graph", metavar="FILE", help="run this graph instead")
    rerun.repeated(parser, "--rename", "OLD=NEW", "with --graph: the node OLD is called NEW there")
    parser.add_argument(
        "--call", action="append", default=[], metavar="AGENT", help="an agent that may be called again"
    )
    parser.add_argument(
        "--keep-upstream", action="store_true", help="call changed nodes only, with the inputs that they had"
    )
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="replay each run N times (1)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    graphs.agents_option(parser)
    parser.set_defaults(ask_again=[], force=False, changed_agents=False)


def main(args: argparse.Namespace) -> int:
    """Replays; 1 if a run fails."""
    if not 1 <= args.repeat <= MAX_REPEAT_COUNT:
        raise UsageError(f"--repeat {args.repeat}: a run is replayed 1 to {MAX_REPEAT_COUNT} times")
    return connection.with_client(_main, args)


MAX_REPEAT_COUNT = 100
"""Replays of one run by one command."""


async def _main(args: argparse.Namespace, client: GraphClient) -> int:
    from perdure.worker import serving  # noqa: PLC0415 -- loads the agents

    change, failed, plain = rerun.change_of(args), False, list[Any]()
    for id in args.ids:
        run = client.get(id)
        queue = (await run.describe()).task_queue
        async with AsyncExitStack() as stack:
            if not await client.workers(queue):
                agents = graphs.agents_of(args.agents).by_name
                await stack.enter_async_context(serving(client, agents, queue=queue))
            for _ in range(args.repeat):
                new, failure, differences = await _replayed(args, run, change)
                failed = failed or failure is not None
                plain.append(_plain(id, new, failure, differences))
                if not args.json:
                    _show(id, new, failure, differences)
    if args.json:
        output.result(output.json_text(plain))
    return 1 if failed else 0


async def _replayed(
    args: argparse.Namespace, run: Run, change: Change
) -> tuple[str, str | None, list[CallDifference]]:
    """The id of the new run, why it failed, and what is different."""
    from perdure.history.rerun import compared_calls  # noqa: PLC0415 -- loads what replays
    from perdure.history.spent import prices_of  # noqa: PLC0415 -- the same

    prices = prices_of(Settings.from_env())
    new = await run.replay(change, calls=args.call, keeps_upstream=args.keep_upstream)
    failure = None
    with suppress(RunFailed):
        await new.result()
    models = await run.history(), await new.history()
    failure = models[1].failure
    return new.id, failure, call_differences(*(compared_calls(model, prices) for model in models))


def _show(id: str, new: str, failure: str | None, differences: list[CallDifference]) -> None:
    output.result("\n".join([f"{id} and {new}:", *(f"  {row}" for row in _lines(failure, differences))]))


def _lines(failure: str | None, differences: list[CallDifference]) -> list[str]:
    text = "\n".join(diff.lines(differences)).splitlines()
    return [*text, f"the replay failed: {failure}"] if failure is not None else text


def _plain(id: str, new: str, failure: str | None, differences: list[CallDifference]) -> dict[str, Any]:
    return {
        "run": id,
        "replay": new,
        "failure": failure,
        "calls": [asdict(difference) for difference in differences],
    }
