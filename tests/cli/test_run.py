"""`perdure run` and the commands about runs, as processes, with a real server."""

import json
import os
import pty
import re
import signal
import sys
import time

import pytest

from perdure import server
from perdure.settings import Settings
from tests.support.cli import ASKING, ELSEWHERE, FAILING, HELLO, MINE, SHOUTING, SLOW, Cli
from tests.support.forked import Process
from tests.support.waiting import wait_until


def test_results_go_to_stdout_and_everything_else_to_stderr(perdure: Cli):
    done = perdure("run", perdure.write("hello.yaml", HELLO), "-i", "name=Anna")
    assert (done.code, json.loads(done.out)) == (0, {"greeting": "Hello, Anna!"})
    assert "greeting completed" in done.err


def test_one_object_for_programs(perdure: Cli):
    done = perdure("run", perdure.write("hello.yaml", HELLO), "--json", "--all", "--id", "one")
    assert done.code == 0
    assert json.loads(done.out) == {
        "id": "one",
        "status": "completed",
        "results": {"name": "world", "greeting": "Hello, world!"},
        "errors": {},
        "states": {"name": "injected", "greeting": "completed"},
    }


def test_a_failed_run_names_its_nodes(perdure: Cli):
    graph = perdure.write("failing.yaml", FAILING)
    done = perdure("run", graph, "--id", "f")
    assert (done.code, done.out) == (1, "")
    assert "run f failed\n  a (popAgent): popAgent: namedInputs is UNDEFINED!" in done.err
    done = perdure("run", graph, "--id", "f", "--json")  # attaches to what has ended
    assert done.code == 1
    assert json.loads(done.out)["status"] == "failed"
    assert json.loads(done.out)["states"] == {"a": "failed", "b": "waiting"}


def test_without_result_nodes_all_are_printed(perdure: Cli):
    done = perdure("run", perdure.write("g.yaml", "nodes: {a: {agent: copyAgent, inputs: {x: 1}}}"))
    assert (done.code, json.loads(done.out)) == (0, {"a": {"x": 1}})
    assert "no node of the graph has isResult" in done.err


def test_an_id_is_for_one_graph_with_its_inputs(perdure: Cli):
    graph = perdure.write("hello.yaml", HELLO)
    assert perdure("run", graph, "--id", "mine").code == 0
    again = perdure("run", graph, "--id", "mine")
    assert (again.code, json.loads(again.out)) == (0, {"greeting": "Hello, world!"})
    other = perdure("run", graph, "--id", "mine", "-i", "name=x")
    assert (other.code, other.out) == (2, "")
    assert "another graph or other inputs\n  hint: choose another id" in other.err


def test_detached_then_asked_for(perdure: Cli):
    graph = perdure.write("slow.yaml", SLOW)
    done = perdure("run", graph, "--detach", "--id", "away")
    assert (done.code, done.out) == (0, "away\n")
    assert "it runs as soon as one does: perdure worker" in done.err
    status = perdure("status", "away")
    assert status.code == 0
    assert "waits for a worker on queue 'perdure': perdure worker --queue perdure" in status.out
    shown = perdure("show", "away")
    assert "n_rest(rest<br/>sleeperAgent)" in shown.out
    result = perdure("result", "away")
    assert (result.code, json.loads(result.out)) == (0, {"rest": {"x": 1}})
    assert "class n_rest completed" in perdure("show", "away").out
    assert "away: completed" in perdure("status", "away").out.replace(" (slow)", "")
    listed = {run["id"]: run for run in json.loads(perdure("list", "--json").out)}
    assert (listed["away"]["state"], listed["away"]["graph"]) == ("completed", "slow")


def test_a_queue_without_a_worker_and_the_end_of_waiting(perdure: Cli):
    perdure("run", perdure.write("elsewhere.yaml", ELSEWHERE), "--detach", "--id", "stuck")
    waiting = perdure.start("result", "stuck")
    assert waiting.stderr is not None
    line = waiting.stderr.readline()
    while "gpu" not in line:
        line = waiting.stderr.readline()
    assert line == "stuck waits for a worker on queue 'gpu': perdure worker --queue gpu\n"
    status = perdure("status", "stuck", "--json")
    assert json.loads(status.out)["unserved"] == ["gpu"]
    done = perdure("cancel", "stuck")
    assert (done.code, done.err) == (0, "run stuck was cancelled\n")
    assert waiting.wait(120) == 1
    waiting.communicate()
    again = perdure("cancel", "stuck")
    assert (again.code, again.err) == (2, "perdure: run 'stuck' has ended: perdure status stuck\n")


@pytest.mark.parametrize("command", ["status", "result", "cancel", "show"])
def test_there_is_no_such_run(perdure: Cli, command):
    done = perdure(command, "missing")
    assert (done.code, done.out) == (2, "")
    assert (
        done.err
        == "perdure: run 'missing' is expired or unknown\n  hint: perdure list shows the runs there are\n"
    )


def until_it_runs(process: Process) -> None:
    assert process.stderr is not None
    while "executing" not in process.stderr.readline():
        assert process.poll() is None


def test_an_interrupted_command_leaves_the_run(perdure: Cli):
    graph = perdure.write("slow.yaml", SLOW.replace("1500", "2500"))
    process = perdure.start("run", graph, "--id", "broken-off")
    until_it_runs(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=180)
    assert (process.returncode, out) == (130, "")
    assert err.endswith("come back: perdure result broken-off\n  stop it: perdure cancel broken-off\n")
    result = perdure("result", "broken-off")
    assert (result.code, json.loads(result.out)) == (0, {"rest": {"x": 1}})


def test_a_killed_command_is_picked_up_by_a_worker_of_the_same_settings(perdure: Cli):
    process = perdure.start("run", perdure.write("slow.yaml", SLOW), "--id", "killed")
    until_it_runs(process)
    process.kill()
    process.communicate()
    worker = perdure.start("worker")
    result = perdure("result", "killed")
    assert (result.code, json.loads(result.out)) == (0, {"rest": {"x": 1}})
    worker.terminate()
    _, err = worker.communicate(timeout=180)
    assert worker.returncode == 0
    assert "worker ready: 127.0.0.1:" in err


def test_agents_of_your_own_and_what_they_print(perdure: Cli):
    graph = perdure.write("shouting.yaml", SHOUTING)
    perdure.write("mine.py", MINE)
    lacking = perdure("run", graph)
    assert (lacking.code, lacking.out) == (2, "")
    assert "shouting.yaml:2:7 nodes.a.agent: no agent 'shout' [unknown-agent]" in lacking.err
    done = perdure("run", graph, "--agents", "mine.py")
    assert (done.code, json.loads(done.out)) == (0, {"a": {"text": "QUIET"}})
    assert {"imported", "called"} <= set(done.err.split())


def test_agents_that_only_another_worker_has(perdure: Cli):
    graph = perdure.write("shouting.yaml", SHOUTING)
    perdure.write("mine.py", MINE)
    worker = perdure.start("worker", "--agents", "mine.py", "--queue", "loud")
    assert worker.stderr is not None
    while "worker ready" not in worker.stderr.readline():
        assert worker.poll() is None
    done = perdure("run", graph, "--queue", "loud")
    assert (done.code, json.loads(done.out)) == (0, {"a": {"text": "QUIET"}})
    worker.terminate()
    worker.communicate(timeout=180)


def test_a_reader_who_leaves_early(perdure: Cli):
    read, write = os.pipe()
    os.close(read)
    process = perdure.start("run", perdure.write("hello.yaml", HELLO), stdout=write)
    os.close(write)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 0
    assert re.sub(r"hello-\w+", "ID", err) == "run ID: perdure status ID\ngreeting completed\n"


def test_in_memory(perdure: Cli):
    graph = perdure.write("hello.yaml", HELLO)
    done = perdure("run", graph, "--in-memory", "--json", TEMPORAL_ADDRESS="127.0.0.1:1")
    assert done.code == 0
    assert json.loads(done.out)["results"] == {"greeting": "Hello, world!"}
    failed = perdure("run", perdure.write("f.yaml", FAILING), "--in-memory")
    assert (failed.code, failed.out) == (1, "")
    assert "  a (popAgent): popAgent: namedInputs is UNDEFINED!" in failed.err


def test_no_server_at_the_address(perdure: Cli):
    begun = time.monotonic()
    done = perdure("run", perdure.write("hello.yaml", HELLO), TEMPORAL_ADDRESS="127.0.0.1:1")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("perdure: no Temporal server answers at 127.0.0.1:1: ")
    assert "unset TEMPORAL_ADDRESS to use the embedded server" in done.err
    assert time.monotonic() - begun < 30


def test_the_server_ends_during_a_run(alone: Cli):
    process = alone.start("run", alone.write("slow.yaml", SLOW.replace("1500", "60000")), "--id", "lost")
    until_it_runs(process)
    server.stop(Settings(home=alone.folder / "own-home"))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (3, "")
    assert "perdure result lost" in err
    assert "Traceback" not in err


def test_a_server_that_is_configured(perdure: Cli):
    here = json.loads(perdure("server", "status", "--json").out)
    address = {"TEMPORAL_ADDRESS": here["address"]}
    graph = perdure.write("hello.yaml", HELLO)
    done = perdure("run", graph, "--queue", "unserved", **address)  # it has no worker: the command serves it
    assert (done.code, json.loads(done.out)) == (0, {"greeting": "Hello, world!"})
    assert perdure("run", graph, "--queue", "later", "--detach", "--id", "remote", **address).code == 0
    waiting = perdure.start("result", "remote", **address)
    assert waiting.stderr is not None
    assert "remote waits for a worker on queue 'later'" in waiting.stderr.readline()
    worker = perdure.start("worker", "--queue", "later", **address)
    out, _ = waiting.communicate(timeout=180)
    assert (waiting.returncode, json.loads(out)) == (0, {"greeting": "Hello, world!"})
    worker.terminate()
    worker.communicate(timeout=180)


def test_a_node_that_waits_for_a_person(perdure: Cli):
    graph = perdure.write("asking.yaml", ASKING)
    process = perdure.start("run", graph, "--id", "asking")
    assert process.stderr is not None
    line = process.stderr.readline()
    while "perdure answer" not in line:
        line = process.stderr.readline()
    assert line == "who waits for an answer to 'Your name': perdure answer asking who TEXT\n"
    wrong = perdure("answer", "asking", "missing", "x")
    assert (wrong.code, "no single question is open at 'missing'" in wrong.err) == (2, True)
    assert perdure("answer", "asking", "who", "Ann").code == 0
    out, _ = process.communicate(timeout=180)
    assert (process.returncode, json.loads(out)) == (0, {"hi": "Hi Ann"})


def test_an_answer_without_a_worker(perdure: Cli):
    graph = perdure.write("asking.yaml", ASKING)
    assert perdure("run", graph, "--queue", "absent", "--detach", "--id", "kept").code == 0
    kept = perdure("answer", "kept", "who", "Ann")
    assert kept.code == 0
    assert "the server keeps the answer to who; it counts when a worker is there" in kept.err
    assert perdure("answer", "kept").code == 2
    worker = perdure.start("worker", "--queue", "absent")
    done = perdure("result", "kept")
    assert (done.code, json.loads(done.out)) == (0, {"hi": "Hi Ann"})
    assert "has ended" in perdure("answer", "kept", "who", "Ben").err
    worker.terminate()
    worker.communicate(timeout=180)


FORM = """\
version: 0.5
nodes:
  who:
    agent: humanInputAgent
    isResult: true
    params:
      message: Publish
      who: [anna]
      schema:
        required: [decision]
        properties:
          decision: {enum: [approve, reject], title: Your name}
"""


def test_pending_questions_are_listed_and_answered(perdure: Cli):
    graph = perdure.write("form.yaml", FORM)
    process = perdure.start("run", graph, "--id", "form")
    assert process.stderr is not None
    while "perdure answer" not in process.stderr.readline():
        pass
    wait_until(lambda: json.loads(perdure("pending", "--json").out), "it is listed")
    assert "anna" in perdure("pending", "--who", "anna").out
    wrong = perdure("answer", "form", "who", "later", "--as", "anna")
    assert (wrong.code, "must be one of approve, reject" in wrong.err) == (2, True)
    code, screen = on_a_terminal(
        perdure, ["answer", "form", "--as", "anna"], b"approve\n", b"(approve/reject): "
    )
    assert (code, "has the answer" in screen) == (0, True)
    out, _ = process.communicate(timeout=180)
    result = json.loads(out)["who"]
    assert (result["answer"], result["by"][0]["who"]) == ({"decision": "approve"}, "anna")


def test_pending_says_of_what_it_cannot_know(perdure: Cli):
    graph = perdure.write("form.yaml", FORM)
    assert perdure("pending").err == "no question is open\n"
    assert perdure("run", graph, "--id", "unserved-form", "--queue", "no-worker", "--detach").code == 0
    pending = perdure("pending")
    assert (pending.code, pending.out) == (0, "")
    assert pending.err == (
        "what a run may ask is not known, for no worker replies: unserved-form\n"
        "hint: start `perdure worker`\n"
    )
    assert perdure("terminate", "unserved-form").code == 0


def on_a_terminal(
    perdure: Cli, words: list[str], answer: bytes, ask: bytes = b"Your name:"
) -> tuple[int, str]:
    """Exit code and screen of a command that asks something."""
    process, terminal = pty.fork()
    if not process:
        os.chdir(perdure.folder)
        command = [sys.executable, "-m", "perdure", *words]
        os.execve(sys.executable, command, {**perdure.env, "TERM": "xterm"})
    seen = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # how Linux reports that the other side is gone
            break
        if not piece:
            break
        seen += piece
        if seen.endswith((ask, ask + b" ")):
            os.write(terminal, answer)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), seen.decode()


@pytest.mark.parametrize("how", [[], ["--in-memory"]])
def test_on_a_terminal_it_draws_and_asks(perdure: Cli, how):
    graph = perdure.write("asking.yaml", ASKING)
    code, screen = on_a_terminal(perdure, ["run", graph, *how], b"Ann\n")
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)
    assert re.search(r"✓ +hi +stringTemplateAgent", plain)
    assert plain.endswith('{\r\n  "hi": "Hi Ann"\r\n}\r\n')


def test_a_command_that_serves_itself_outlives_its_server(alone: Cli):
    run = alone.start("run", alone.write("slow.yaml", SLOW), "--id", "through")
    assert run.stderr is not None
    said = ""
    while "rest executing" not in said:
        said = run.stderr.readline()
        assert said
    embedded = server.status(Settings(home=alone.folder / "own-home"))
    assert embedded is not None
    os.killpg(embedded.pid, signal.SIGKILL)
    out, err = run.communicate(timeout=60)
    assert (run.returncode, json.loads(out)) == (0, {"rest": {"x": 1}}), err
    assert "the embedded server had ended by itself, and is up again" in err
