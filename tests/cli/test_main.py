"""The way in, help, exit codes, and the commands that print what is built in."""

import json
import subprocess
import sys

import jsonschema
import pytest

from perdure import __version__
from perdure.agents.catalog import catalog
from perdure.cli import main, output
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.errors import (
    ConnectionFailed,
    FinalError,
    GraphError,
    Problem,
    RunCancelled,
    RunConflict,
    RunFailed,
    UsageError,
)
from perdure.graph.text.load import load_value
from tests.support.cli import HELLO, environment


@pytest.mark.parametrize("command", main.COMMANDS)
def test_every_command_explains_itself_with_examples(call, command):
    done = call(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"usage: perdure {command}" in done.out
    assert f"examples:\n  perdure {command}" in done.out


def test_help_version_and_no_command(call):
    assert call("--version").out == f"perdure {__version__}\n"
    helped = call("--help")
    assert all(f"\n    {name} " in helped.out for name in main.COMMANDS)
    nothing = call()
    assert (nothing.code, nothing.out, nothing.err) == (2, "", helped.out)


def test_a_near_command_is_suggested(call):
    done = call("chek", "x")
    assert (done.code, done.err) == (
        2,
        "perdure: there is no command 'chek'\n  hint: did you mean 'check'?\n",
    )
    assert "perdure --help lists them" in call("xyz").err


NAMES = [*catalog(), *GRAPH_AGENTS]
PROBLEM = Problem("code", "nodes.a", "is odd", "correct it", 3, 5)
ENDS = [
    (GraphError([PROBLEM], "g.yaml"), 2, "g.yaml:3:5 nodes.a: is odd [code]\n  hint: correct it\n"),
    (UsageError("no such thing"), 2, "perdure: no such thing\n"),
    (RunConflict("taken"), 2, "perdure: taken\n"),
    (ConnectionFailed("no answer"), 3, "perdure: no answer\n"),
    (RunFailed("it failed"), 1, "perdure: it failed\n"),
    (RunCancelled("it was stopped"), 1, "perdure: it was stopped\n"),
    (FinalError("no model"), 1, "perdure: no model\n"),
    (output.Interrupted("come back"), 130, "come back\n"),
    (KeyboardInterrupt(), 130, "interrupted\n"),
    (PermissionError(13, "Permission denied", "/x"), 2, "perdure: /x: Permission denied\n"),
    (
        KeyError("oh"),
        70,
        "perdure: KeyError: 'oh'\nthis is a bug in perdure; run with -v for the traceback\n",
    ),
]


@pytest.mark.parametrize(("error", "code", "said"), ENDS, ids=lambda value: type(value).__name__)
def test_how_a_command_ends(call, monkeypatch, error, code, said):
    def fail(_args: object) -> int:
        raise error

    monkeypatch.setattr("perdure.cli.commands.schema.main", fail)
    done = call("schema")
    assert (done.code, done.out, done.err) == (code, "", said)


@pytest.mark.parametrize("words", [("-v", "schema"), ("schema", "-v")])
def test_a_bug_shows_its_traceback_when_asked(call, monkeypatch, words):
    monkeypatch.setattr("perdure.cli.commands.schema.main", lambda _args: {}["x"])
    done = call(*words)
    assert done.code == 70
    assert done.err.startswith("Traceback")


def test_the_program_ends_with_its_code_and_loads_little(tmp_path):
    def python(*words: str) -> "subprocess.CompletedProcess[str]":
        env = environment(tmp_path)
        return subprocess.run([sys.executable, *words], env=env, cwd=tmp_path, capture_output=True, text=True)

    assert python("-m", "perdure", "check", "nowhere.yaml").returncode == 2
    heavy = "print({'temporalio', 'yaml', 'asyncio', 'openai', 'numpy', 'rich'} & set(sys.modules))"
    for code in ("import perdure", "from perdure.cli.main import run; run(['--version'])"):
        assert python("-c", f"import sys; {code}; {heavy}").stdout.endswith("set()\n")


def test_agents_are_listed_and_described(call):
    listed = json.loads(call("agents", "--json").out)
    assert {item["name"] for item in listed} == {name for name in NAMES if "." not in name}
    assert all(item["description"] for item in listed)
    table = call("agents").out
    assert "stringTemplateAgent" in table
    about = load_value(call("agents", "stringTemplateAgent").out)
    assert about == json.loads(call("agents", "stringTemplateAgent", "--json").out)
    assert about["samples"][0]["result"].startswith("Dear Noor")
    unknown = call("agents", "stringTemplatAgent")
    assert (unknown.code, unknown.out) == (2, "")
    assert "did you mean 'stringTemplateAgent'?" in unknown.err


@pytest.mark.parametrize("name", NAMES)
def test_every_agent_is_described(call, name):
    about = load_value(call("agents", name).out)
    assert about["agent"] == name
    assert about["description"]
    assert about["runs"]


def test_the_schema_is_one(call):
    jsonschema.Draft202012Validator.check_schema(json.loads(call("schema").out))


def test_show_draws_a_file(call, tmp_path):
    graph = tmp_path / "hello.yaml"
    graph.write_text(HELLO)
    drawn = call("show", str(graph)).out.splitlines()
    assert drawn == [
        "flowchart TD",
        "  n_name(name)",
        "  n_greeting(greeting<br/>stringTemplateAgent)",
        "  n_name --> n_greeting",
        "  class n_name staticNode",
        "  class n_greeting computedNode",
    ]
    for form in ("json", "yaml"):
        assert load_value(call("show", str(graph), "--format", form).out) == load_value(HELLO)


@pytest.mark.parametrize(("form", "start"), [("svg", "<svg "), ("html", "<!doctype html>")])
def test_show_draws_pictures(call, tmp_path, form, start):
    graph = tmp_path / "hello.yaml"
    graph.write_text(HELLO)
    drawn = call("show", str(graph), "--format", form).out
    assert drawn.startswith(start)
    assert all(f"<title>{name}" in drawn for name in load_value(HELLO)["nodes"])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b[41mred\x1b[0m", "red"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\r\x9b", "\\x0d\\x9b"),
    ],
)
def test_what_people_read_cannot_drive_the_terminal(text, shown):
    assert output.plain(text) == shown


def test_a_table():
    rows = [["a", "long one", "x"], ["bcd", "s", "two\nlines"]]
    assert output.table(("id", "what", "more"), rows) == (
        "id   what      more\na    long one  x\nbcd  s         two\\nlines"
    )
