"""`perdure check`, and what `perdure run` refuses before it asks for a server."""

import json
import subprocess
import sys

import pytest

from tests.support.cli import HELLO, MINE, SHOUTING, environment

NESTED = """\
nodes:
  rows: {value: [1, 2]}
  map:
    agent: mapAgent
    inputs: {rows: ":rows", extra: 1}
    graph:
      nodes:
        fine: {agent: copyAgent, inputs: {a: ":row", b: ":extra", c: ":__mapIndex"}}
        inner:
          agent: nestedAgent
          inputs: {given: ":fine"}
          graph:
            nodes:
              deep: {agent: copyAgent, inputs: {a: ":given", b: ":missing"}}
"""
OLD = """\
nodes:
  a: {agentId: copyAgent, inputs: {x: 1}}
  n:
    agentId: nestedAgent
    graph:
      nodes:
        b: {agentId: copyAgent, inputs: {x: 1}}
"""

# name, text, lines on stdout, exit code
CASES = [
    ("hello", HELLO, ["{}: no problems"], 0),
    (
        "misspelt node",
        'nodes:\n  first: {value: 1}\n  b:\n    agent: copyAgent\n    inputs:\n      x: ":frst"\n',
        [
            "{}:5:5 nodes.b.inputs: refers to 'frst', and there is no such node [unknown-node]",
            "  hint: did you mean 'first'?",
        ],
        2,
    ),
    (
        "unknown agent",
        "nodes:\n  a: {agent: copyAgnt, inputs: {x: 1}}\n",
        [
            "{}:2:7 nodes.a.agent: no agent 'copyAgnt' [unknown-agent]",
            "  hint: did you mean 'copyAgent'?; your own come with --agents MODULE",
        ],
        2,
    ),
    (
        "cycle",
        'nodes:\n  a: {agent: copyAgent, inputs: {x: ":b"}}\n  b: {agent: copyAgent, inputs: {x: ":a"}}\n',
        [
            "{}:1:1 nodes: no node can start [nothing-starts]",
            "  hint: give one node an agent whose inputs are static or absent",
            "{}:2:3 nodes.a: these nodes wait for each other: a <- b <- a [cycle]",
            "  hint: break the cycle; to feed a result into the next pass use loop and update",
        ],
        2,
    ),
    (
        "wrong type",
        "nodes:\n  a: 1\n",
        [
            "{}:2:3 nodes.a: a node is a mapping, not '1' [not-a-node]",
            "  hint: give it agent: (computed) or value: (static)",
        ],
        2,
    ),
    (
        "an id with dots",
        "nodes:\n  a.b: {agent: copyAgent, input: {x: 1}}\n",
        [
            "{}:2:27 nodes.a.b.input: a computed node has no key 'input' [unknown-key]",
            "  hint: did you mean 'inputs'?",
        ],
        2,
    ),
    (
        "nested graphs",
        NESTED,
        [
            "{}:14:40 nodes.map.graph.nodes.inner.graph.nodes.deep.inputs: "
            "refers to 'missing', and there is no such node [unknown-node]",
            "  hint: there is: deep, given",
        ],
        2,
    ),
    (
        "old spelling",
        OLD,
        [
            "{}:2:7 warning: nodes.a.agentId: agentId is the old spelling [old-agent-id]",
            "  hint: write agent",
            "{}:4:5 warning: nodes.n.agentId: agentId is the old spelling [old-agent-id]",
            "  hint: write agent",
            "{}:7:13 warning: nodes.n.graph.nodes.b.agentId: agentId is the old spelling [old-agent-id]",
            "  hint: write agent",
        ],
        0,
    ),
    (
        "not UTF-8",
        b"\xff",
        ["{}:1 graph: the text is not UTF-8 [encoding]", "  hint: save the file as UTF-8"],
        2,
    ),
]


@pytest.mark.parametrize(("_", "text", "expected", "code"), CASES, ids=[case[0] for case in CASES])
def test_findings(call, tmp_path, _, text, expected, code):
    graph = tmp_path / "graph.yaml"
    graph.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = call("check", str(graph))
    assert done.out.splitlines() == [line.replace("{}", str(graph)) for line in expected]
    assert (done.code, done.err) == (code, "")


def test_several_files_for_programs(call, tmp_path):
    (tmp_path / "good.yaml").write_text(HELLO)
    (tmp_path / "bad.json").write_text('{"nodes": {"a": {"agent": "copyAgent", "inputs": {"x": ":y"}}}}')
    done = call("check", "--json", str(tmp_path / "good.yaml"), str(tmp_path / "bad.json"))
    assert done.code == 2
    report = json.loads(done.out)
    assert report["ok"] is False
    (finding,) = report["findings"]
    assert finding == {
        "file": str(tmp_path / "bad.json"),
        "line": 1,
        "column": 40,
        "place": "nodes.a.inputs",
        "severity": "error",
        "code": "unknown-node",
        "finding": "refers to 'y', and there is no such node",
        "hint": "there is: a",
        "nested": False,
    }


def test_a_graph_for_other_agents(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graph.yaml").write_text(SHOUTING)
    (tmp_path / "mine.py").write_text(MINE)
    assert call("check", "graph.yaml").code == 2
    done = call("check", "graph.yaml", "--agents", "mine.py")
    assert (done.code, done.out, done.err) == (0, "graph.yaml: no problems\n", "imported\n")


def test_task_queues_that_the_settings_allow(call, tmp_path, monkeypatch):
    monkeypatch.setenv("PERDURE_QUEUES", "cpu")
    graph = tmp_path / "graph.yaml"
    inner = "{nodes: {b: {agent: embed, queue: gpu}, c: {agent: embed, queue: cpu}}}"
    graph.write_text(
        "nodes:\n  own: {agent: copyAgent, queue: perdure}\n"
        f"  a: {{agent: nestedAgent, graph: {inner}}}\n  p: {{agent: perdure.segment, queue: cpu}}\n"
    )
    done = call("check", "--json", str(graph))
    findings = {(item["code"], item["severity"], item["place"]) for item in json.loads(done.out)["findings"]}
    assert findings == {
        ("queue-not-allowed", "warning", "nodes.a.graph.nodes.b.queue"),
        ("unknown-agent", "error", "nodes.p.agent"),
    }
    monkeypatch.setenv("PERDURE_QUEUES", "*")
    assert "queue-not-allowed" not in call("check", str(graph)).out


def test_terminal_escapes_in_a_graph_stay_harmless(call, tmp_path):
    graph = tmp_path / "graph.yaml"
    graph.write_text('nodes: {"\\e[31mred\\a": 1}')
    assert "\x1b" not in call("check", str(graph)).out
    assert "nodes.red\\x07: " in call("check", str(graph)).out


# arguments, what stderr says
REFUSED = [
    (["nowhere.yaml"], "nowhere.yaml: there is no such file"),
    (["."], ". is a folder\n  hint: name the file, such as graph.yaml"),
    (["hello.yaml", "-i", "name"], "-i 'name': write -i NODE=VALUE"),
    (["hello.yaml", "-i", "name=[1"], "-i name: the value is not YAML: "),
    (
        ["hello.yaml", "-i", "nme=1"],
        "input 'nme' is not a node of the graph\n  hint: inputs go into static nodes: did",
    ),
    (
        ["hello.yaml", "-i", "greeting=1"],
        "input 'greeting' is computed\n  hint: inputs go into static nodes: ",
    ),
    (["hello.yaml", "-I", "name=nowhere.txt"], "nowhere.txt: there is no such file"),
    (["hello.yaml", "--config", "list.yaml"], "list.yaml: --config takes a mapping"),
    (["hello.yaml", "--agents", "nowhere"], "there is no module 'nowhere'"),
    (["hello.yaml", "--agents", "nowhere.py"], "there is no such file"),
    (["hello.yaml", "--in-memory", "--detach"], "--in-memory keeps nothing"),
    (
        ["nested.yaml", "--in-memory", "-i", "x=1"],
        "warning: nodes.map.graph.nodes.inner.graph.nodes.deep.inputs: ",
    ),
    (["cycle.yaml"], "cycle.yaml:2:3 nodes.a: these nodes wait for each other: a <- a [cycle]"),
    (["hello.yaml", "--nonsense"], "unrecognized arguments: --nonsense"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_what_run_refuses(call, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hello.yaml").write_text(HELLO)
    (tmp_path / "list.yaml").write_text("[1]")
    (tmp_path / "nested.yaml").write_text(NESTED)
    (tmp_path / "cycle.yaml").write_text('nodes:\n  a: {agent: copyAgent, inputs: {x: ":a"}}')
    done = call("run", *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_checking_loads_nothing_heavy(tmp_path):
    (tmp_path / "hello.yaml").write_text(HELLO)
    code = (
        "import sys\n"
        "from perdure.cli.main import run\n"
        "assert run(['check', 'hello.yaml']) == 0\n"
        "print({'temporalio', 'openai', 'numpy', 'tiktoken', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("hello.yaml: no problems\nset()\n", "")
