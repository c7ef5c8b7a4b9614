"""The way in: finds the command, runs it, and makes an exit code of whatever it ends with.

0 done, 1 the run failed, 2 the graph or the call is wrong, 3 no server or no worker, 70 a bug of
Perdure, 130 interrupted. Only the module of the command that is called is loaded.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from typing import NoReturn, TypeAlias

from perdure import __version__
from perdure.cli import output
from perdure.errors import ConnectionFailed, GraphError, PerdureError, RunConflict, UsageError
from perdure.graph.text.shown import line, message

COMMANDS = {
    "init": ("init", "make a small project: graph, agent, test"),
    "examples": ("examples", "the examples that come with Perdure"),
    "run": ("run", "run a graph, and print its results"),
    "map": ("map", "run a graph for each row of a table"),
    "check": ("check", "find every problem of a graph; runs nothing"),
    "show": ("show", "draw a graph, or a run with its states"),
    "status": ("runs.status", "how a run is, and what it waits for"),
    "explain": ("runs.explain", "why a node waits, runs or failed, and what to do"),
    "history": ("runs.history", "what happened in a run, or to one node, also after its end"),
    "logs": ("runs.logs", "what the nodes of a run have shown"),
    "result": ("runs.result", "wait for a run, and print its results"),
    "rerun": ("runs.rerun", "repeat a run with a change: only what depends on it is called"),
    "patch": ("steering.patch", "change the graph of a run while it runs"),
    "pause": ("steering.pause", "let no further node of a run start"),
    "resume": ("steering.resume", "let nodes start again that were paused"),
    "retry": ("steering.retry", "execute failed nodes of a run again, while it runs"),
    "skip": ("steering.skip", "skip a node of a run"),
    "set": ("steering.set", "give a node of a run a value, while it runs"),
    "move": ("steering.move", "send the calls of a node to another task queue"),
    "diff": ("runs.diff", "compare two runs call by call, or two graphs"),
    "audit": ("runs.audit", "who did what in a run, what it was refused, and what it reached"),
    "report": ("runs.report", "how well runs went: latency, failures, bytes, cost per unit"),
    "replay": ("runs.replay", "repeat recorded runs with a change, without effects, and compare"),
    "replay-check": ("runs.replay_check", "replay histories with this version: before you deploy it"),
    "answer": ("runs.answer", "answer a node that waits for a person"),
    "send": ("runs.send", "send an event to a run whose nodes wait for it"),
    "pending": ("runs.pending", "what people are asked by the open runs"),
    "cancel": ("runs.cancel", "stop a run"),
    "terminate": ("runs.terminate", "end a run at once, where cancel does not stop it"),
    "list": ("runs.list", "the runs there are"),
    "agents": ("agents", "the agents there are, or all about one"),
    "schema": ("schema", "the graph language as a JSON Schema"),
    "ui": ("ui", "the live page: runs, their graphs as they execute, questions"),
    "gateway": ("gateway", "bring events of devices and services to runs: http, mqtt"),
    "edge": ("edge", "a device that works alone and syncs with a hub: serve, status, retry"),
    "serve": ("serve", "the HTTP API, without the page"),
    "open": ("runs.open", "open the page of a run in a browser"),
    "dev": ("dev", "server, live page and a worker in the foreground"),
    "worker": ("worker", "serve agents"),
    "server": ("server", "the embedded server: status, stop"),
    "doctor": ("doctor", "look at everything that is needed, and say what to do"),
    "models": ("models", "the local models: status, fetch, stop"),
    "policy": ("policy", "what the runs of a worker may use: check, show, explain"),
    "codec": ("codec", "the keys that sign or encrypt payloads, and a server that decodes: keys, server"),
    "store": ("store", "the store of large values: info, gc"),
    "sbom": ("sbom", "the packages of this installation, as CycloneDX JSON"),
}
"""Each command's module in `perdure.cli.commands`, and what it does, in one line."""

EPILOG = """\
examples:
  perdure run graph.yaml -i name=Anna      run a graph with a value for the node `name`
  perdure check graph.yaml                 find what is wrong with it
  perdure COMMAND --help                   more about a command

exit codes: 0 done, 1 the run failed, 2 the graph or the call is wrong, 3 no server or no worker,
130 interrupted (the run continues)
"""

BUG_EXIT_CODE = 70


class Parser(argparse.ArgumentParser):
    """One whose complaints are one line, without characters that act: they quote what was typed."""

    def error(self, message: str) -> NoReturn:
        """Ends the command with the usage and the complaint."""
        super().error(line(message))


class CommandListFormatter(argparse.RawDescriptionHelpFormatter):
    """Shows the longest command next to its help: argparse does not count the indent of commands."""

    def add_argument(self, action: argparse.Action) -> None:
        """Counts it."""
        super().add_argument(action)
        self._action_max_length = max(self._action_max_length, max(map(len, COMMANDS)) + 4)


def main() -> NoReturn:
    """The program ``perdure``."""
    output.prepare()
    gc.disable()  # what is loaded stays: looking for garbage in it takes a tenth of the start
    code = run(sys.argv[1:])
    output.flush()
    os._exit(code)  # leaving in the ordinary way, the SDK's threads crash now and then


def run(argv: Sequence[str]) -> int:
    """Does what the command line says, and returns the exit code."""
    is_verbose = False
    try:
        args, command = _parsed(list(argv))
        is_verbose = args.verbose
        return command(args)
    except SystemExit as stop:  # argparse, after it has said why
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        output.note("interrupted")
        return 130
    except output.Interrupted as stop:
        output.note(str(stop))
        return 130
    except PerdureError as error:
        output.note(_message(error))
        return _code(error)
    except OSError as error:
        finding = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        output.note(f"perdure: {message(finding)}")
        return 2
    except Exception as error:
        return _bug(error, is_verbose)


Command: TypeAlias = Callable[[argparse.Namespace], int]


def _parsed(argv: list[str]) -> tuple[argparse.Namespace, Command]:
    """The arguments, and the command that takes them. Raises UsageError, and SystemExit as argparse does."""
    name = next((word for word in argv if not word.startswith("-")), None)
    if name is not None and name not in COMMANDS:
        matches = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {matches[0]!r}?" if matches else "perdure --help lists them"
        raise UsageError(f"there is no command {name!r}", hint=hint)
    parser, command = _parser(name)
    args = parser.parse_args(argv)
    return args, command or partial(_help, parser)


def _help(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """What is done without a command."""
    del args
    parser.print_help(sys.stderr)
    return 2


def _parser(name: str | None) -> tuple[argparse.ArgumentParser, Command | None]:
    """The parser, of which only the part for command `name` is complete, and that command."""
    parser = Parser(
        prog="perdure",
        description="Runs declarative data-flow graphs for agentic AI, durably, on Temporal.",
        epilog=EPILOG,
        formatter_class=CommandListFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"perdure {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="show more, with tracebacks")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    command_main = None
    for key, (place, summary) in COMMANDS.items():
        part = commands.add_parser(
            key, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )
        if key == name:
            module = import_module(f"perdure.cli.commands.{place}")
            part.description = module.__doc__
            part.epilog = module.EXAMPLES
            part.add_argument(
                "-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help="show more"
            )
            module.configure(part)
            command_main = module.main
    return parser, command_main


def _message(error: PerdureError) -> str:
    if isinstance(error, GraphError):
        from perdure.cli.problems import text  # noqa: PLC0415 -- only if there are any

        return "\n".join(text(problem, error.source) for problem in error.problems)
    return f"perdure: {message(str(error))}"


def _code(error: PerdureError) -> int:
    if isinstance(error, ConnectionFailed):
        return 3
    return 2 if isinstance(error, GraphError | UsageError | RunConflict) else 1


def _bug(error: Exception, is_verbose: bool) -> int:
    if is_verbose:
        output.note("".join(traceback.format_exception(error)))
    problem = f"{type(error).__name__}: {error}".partition("\n")[0]
    output.note(f"perdure: {problem}\nthis is a bug in perdure; run with -v for the traceback")
    return BUG_EXIT_CODE
