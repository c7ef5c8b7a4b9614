"""Answers the question of a node that waits for a person. On a terminal it asks for what is left out."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from perdure.cli import connection, output
from perdure.cli.inputs.answers import asked_for, user
from perdure.cli.progress.follow import can_ask
from perdure.errors import UsageError

if TYPE_CHECKING:
    from perdure.client import GraphClient
    from perdure.engine.closed_questions import Receipt
    from perdure.engine.human_tasks import HumanPrompt
    from perdure.runs import Run

EXAMPLES = """\
examples:
  perdure answer chat-1 question "Yes, continue"
  perdure answer post-7 approve reject --as anna@example.org
  perdure answer post-7 approve '{"decision": "approve", "comment": "good"}'
  perdure answer post-7                    asks on the terminal
  perdure pending                          shows what is asked

A question that is not open yet may be answered by its full path. While no worker serves the run, the
server keeps the answer.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("id", metavar="ID", help="the run")
    parser.add_argument("node", metavar="NODE", nargs="?", help="the node that asks, or its path in the run")
    parser.add_argument(
        "value", metavar="VALUE", nargs="?", help="the answer: a string, or a JSON object that fills a form"
    )
    parser.add_argument("--as", dest="who", metavar="NAME", help="who answers (user@host)")


def main(args: argparse.Namespace) -> int:
    """Sends the answer."""
    return connection.with_client(_main, args)


async def _main(args: argparse.Namespace, client: GraphClient) -> int:
    who = user() if args.who is None else args.who
    run = client.get(args.id)
    path, value = args.node, args.value
    if value is None:
        if not can_ask():
            raise UsageError("the answer is missing", hint=f"perdure answer {args.id} NODE VALUE")
        prompt = await _question(run, path)
        path, value = prompt.path, asked_for(prompt)
    receipt = await run.answer(path, value, who=who)
    if receipt is not None:
        output.note(outcome(args.id, receipt))
        return 0
    queue = (await run.describe()).task_queue
    output.note(
        f"run {args.id}: no worker replies, so the server keeps the answer to {path}; it counts when "
        f"a worker is there: perdure worker --queue {queue}"
    )
    return 0


async def _question(run: Run, path: str | None) -> HumanPrompt:
    """The open question at `path`, or the only one."""
    prompts = await run.questions()
    fitting = [prompt for prompt in prompts if path in (None, prompt.path)]
    fitting = fitting or [prompt for prompt in prompts if path == prompt.node]
    if len(fitting) == 1:
        return fitting[0]
    paths = ", ".join(prompt.path for prompt in prompts)
    if path is None and paths:
        raise UsageError(f"run {run.id} asks several questions", hint=f"name one: {paths}")
    raise UsageError(f"run {run.id} asks nothing there now", hint=f"it asks: {paths or 'nothing'}")


def outcome(id: str, receipt: Receipt) -> str:
    """What became of an answer, in words."""
    if receipt.already:
        return f"run {id} has this answer already"
    if receipt.early:
        return f"run {id} keeps the answer until {receipt.path} asks"
    if not receipt.is_closed:
        return f"run {id} has the answer: {receipt.count} of {receipt.need} for {receipt.path}"
    return f"run {id} has the answer"
