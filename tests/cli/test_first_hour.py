"""What a newcomer does first: a project, the examples, a table of rows, one value of a result."""

import json
import os
import pty
import signal
import subprocess
import sys
import tomllib

import pytest

from perdure.cli.running.outcome import MISSING_FILE_HINT
from tests.support.cli import ROOT, Cli, environment

GRAPH = """\
nodes:
  question: {value: none}
  fails: {agent: popAgent, if: ":question.equal(bad)", inputs: {}}
  answer: {agent: copyAgent, inputs: {text: ":question", many: [1,2,3,4,5,6,7,8,9,10,11]}, isResult: true}
"""
MAP = ("map", "graph.yaml", "--rows", "questions.csv", "--id", "rows")


def test_a_new_project_runs_and_so_does_its_test(perdure: Cli):
    made = perdure("init", "project")
    folder = perdure.folder / "project"
    assert made.out.splitlines() == [
        f"project/{name}" for name in ("README.md", "agents.py", "graph.yaml", "test_graph.py")
    ]
    assert made.err == "next: cd project && perdure run graph.yaml --agents agents.py\n"
    (folder / "graph.yaml").write_text("mine")
    again = perdure("init", "project")
    assert (again.code, again.out) == (0, "")
    assert "project/graph.yaml: exists, and stays as it is" in again.err
    assert (folder / "graph.yaml").read_text() == "mine"
    (folder / "graph.yaml").unlink()
    perdure("init", "project")
    done = perdure("run", "project/graph.yaml", "--agents", "project/agents.py", "-i", "name=Anna")
    assert json.loads(done.out) == {"shouted": {"text": "HELLO, ANNA!"}}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    where = environment(perdure.folder)
    tested = subprocess.run(words, cwd=folder, env=where, capture_output=True, text=True)
    assert (tested.returncode, "1 passed" in tested.stdout) == (0, True), tested.stdout


def test_the_examples_come_with_the_package(perdure: Cli):
    listed = perdure("examples")
    names = [line.split(" ")[0] for line in listed.out.splitlines()[1:]]
    assert names == sorted(folder.name for folder in (ROOT / "examples").iterdir())
    assert "perdure run examples/hello/graph.yaml" in perdure("examples", "hello").out
    copied = perdure("examples", "hello", "--to", "here")
    assert copied.err == "next: perdure run here/hello/graph.yaml\n"
    assert perdure("run", "here/hello/graph.yaml").code == 0
    wrong = perdure("examples", "hallo")
    assert (wrong.code, wrong.err) == (
        2,
        "perdure: there is no example 'hallo'\n  hint: did you mean 'hello'?\n",
    )
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert {"examples/*/*", "starter/*"} <= set(packaged["perdure"])


def test_a_result_node_that_did_not_run_is_named(perdure: Cli):
    perdure.write(
        "skips.yaml",
        "nodes: {no: {value: 0}, a: {agent: copyAgent, if: ':no', inputs: {x: 1}, isResult: true}}",
    )
    done = perdure("run", "skips.yaml", "--in-memory")
    assert (done.code, done.out) == (0, "{}\n")
    assert done.err.endswith(
        "a has isResult, and did not run: it is skipped\n"
        "  hint: look at its if and unless, and at the nodes that it waits for\n"
    )


def test_a_table_of_rows(perdure: Cli):
    perdure.write("graph.yaml", GRAPH)
    perdure.write("questions.csv", "n,question\n1,what\n2,bad\n")
    done = perdure(*MAP, "--out", "answers.csv", "--failed", "again.csv")
    many = '"[1,2,3,4,5,6,7,8,9,10,11]"'
    assert (done.code, done.out) == (1, "")
    assert [text for text in done.err.splitlines() if "embedded" not in text] == [
        "columns carried along, as no static node has their name: n",
        "run rows: perdure status rows",
        "map completed",
        "1 of 2 rows have their results: answers.csv",
        "1 row failed:",
        "  row 2: popAgent: namedInputs is UNDEFINED!",
        "hint: run these again with --rows again.csv, another --out and another --id",
    ]
    assert (perdure.folder / "answers.csv").read_text() == (
        f"n,question,answer.text,answer.many,error\n1,what,what,{many},\n"
        "2,bad,,,popAgent: namedInputs is UNDEFINED!\n"
    )
    assert (perdure.folder / "again.csv").read_text() == "n,question\n2,bad\n"
    continued = perdure(*MAP, "--out", "answers.jsonl")
    assert continued.code == 1
    assert len((perdure.folder / "answers.jsonl").read_text().splitlines()) == 2
    perdure.write("questions.csv", "question\nother\n")
    assert "run 'rows' exists with another graph or other inputs" in perdure(*MAP, "--out", "answers.csv").err


SLOW = """\
nodes:
  n: {value: 0}
  slow: {agent: sleeperAgent, inputs: {n: ":n"}, params: {duration: 2000}, isResult: true}
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_table_that_is_interrupted_continues_with_its_id(perdure: Cli, number: int):
    perdure.write("slow.yaml", SLOW)
    perdure.write("numbers.csv", "n\n" + "".join(f"{n}\n" for n in range(6)))
    id = f"rows-{number}"
    words = ("map", "slow.yaml", "--rows", "numbers.csv", "--out", "out.csv", "--concurrency", "2")
    process = perdure.start(*words, "--id", id)
    assert process.stderr is not None
    while "map executing" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(number)
    _, err = process.communicate(timeout=180)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    if number == signal.SIGINT:
        assert f"come back: the same command with --id {id}" in err
    assert not (perdure.folder / "out.csv").exists()
    done = perdure(*words, "--id", id)
    assert (done.code, done.err.splitlines()[-1]) == (0, "6 of 6 rows have their results: out.csv")
    lines = (perdure.folder / "out.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["n", *map(str, range(6))]


def test_one_value_of_a_result(perdure: Cli):
    graph = perdure.write("graph.yaml", GRAPH)
    perdure("run", graph, "--id", "single", "-i", "question=what")
    assert perdure("result", "single", "answer.text").out == "what\n"
    assert json.loads(perdure("result", "single", "answer.many[10]").out) == 11
    wrong = perdure("result", "single", "answr")
    assert (wrong.code, wrong.out) == (2, "")
    assert "there is no result at 'answr'\n  hint: did you mean 'answer'?" in wrong.err
    for option, expected in ((), [1, 2, 3, 4, 5, "... 6 more numbers"]), (("--full",), list(range(1, 12))):
        ours, theirs = pty.openpty()
        process = perdure.start("result", "single", "answer.many", *option, stdout=theirs)
        process.wait(120)
        process.communicate()
        os.close(theirs)
        assert json.loads(os.read(ours, 10_000)) == expected
        os.close(ours)


TALK = """\
nodes:
  name: {agent: textInputAgent, params: {message: Your name}}
  age: {agent: textInputAgent, if: ":name.text", params: {message: Your age}}
  said:
    agent: stringTemplateAgent
    inputs: {n: ":name.text", a: ":age.text"}
    params: {template: "${n} ${a}"}
    isResult: true
"""


def piped(perdure: Cli, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perdure", *words],
        cwd=perdure.folder,
        env=perdure.env,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("option", [(), ("--in-memory",)], ids=["durable", "in memory"])
def test_lines_on_stdin_are_answers(perdure: Cli, option: tuple[str, ...]):
    graph = perdure.write("talk.yaml", TALK)
    done = piped(perdure, "Anna\n7\nmore\n", "run", graph, *option)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"said": "Anna 7"})
    assert "Your name: Anna" in done.stderr
    assert "Your age: 7" in done.stderr


def test_stdin_that_ends_too_early(perdure: Cli):
    graph = perdure.write("talk.yaml", TALK)
    done = piped(perdure, "Anna\n", "run", graph, "--in-memory")
    assert done.returncode == 1
    assert "no answer to 'Your age': stdin has no more lines" in done.stderr


def test_a_missing_file_tells_where_files_are_looked_for(perdure: Cli):
    node = "{agent: fileReadAgent, params: {baseDir: ., outputType: text}, inputs: {file: no.txt}}"
    done = perdure("run", perdure.write("read.yaml", f"nodes: {{a: {node}}}"), "--in-memory")
    assert done.code == 1
    assert f"  {MISSING_FILE_HINT}\n" in done.err
