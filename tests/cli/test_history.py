"""`history`, `explain`, `logs` and `status` of a run that is over, whose worker is gone."""

from __future__ import annotations

import json

from tests.support.cli import Cli

GRAPH = """\
nodes:
  numbers:
    value: [1, 0]
  checked:
    agent: mapAgent
    inputs: {rows: ":numbers"}
    graph:
      nodes:
        seen: {agent: copyAgent, inputs: {x: ":row"}, console: {after: "saw ${:row}"}}
        kept: {agent: popAgent, inputs: {array: ":seen.x.missing"}, isResult: true}
  after: {agent: copyAgent, inputs: {x: ":checked"}}
"""


def test_a_run_that_has_failed(perdure: Cli) -> None:
    perdure.write("g.yaml", GRAPH)
    assert perdure("run", "g.yaml", "--id", "over").code == 1
    table = perdure("history", "over").out.splitlines()
    assert table[0].split() == ["began", "took", "node", "agent", "attempts", "used", "state"]
    assert any("checked[0].kept" in line and "failed (" in line for line in table)
    status = perdure("status", "over").out
    assert "✗ checked[0].kept failed" in status
    states = json.loads(perdure("status", "over", "--json").out)["states"]
    assert (states["checked[0].kept"], states["after"]) == ("failed", "waiting")
    node = json.loads(perdure("history", "over", "checked[0].seen", "--json").out)
    assert (node["state"], node["parent"], node["inputs"]) == ("completed", "checked", {"x": 1})
    whole = json.loads(perdure("history", "over", "--json").out)
    assert [each["address"] for each in whole["nodes"]][:3] == ["numbers", "checked", "after"]
    shown = perdure("history", "over", "checked[0].seen").out
    assert "inputs:" in shown
    assert perdure("logs", "over", "checked[0].seen").code == 0


def test_why(perdure: Cli) -> None:
    perdure.write("g.yaml", GRAPH)
    perdure("run", "g.yaml", "--id", "why")
    said = perdure("explain", "why", "after").out.splitlines()
    assert said[0] == "after: waiting"
    assert said[1].startswith("  the run is failed: checked[1].kept: ")
    explained = json.loads(perdure("explain", "why", "after", "--json").out)
    assert (explained["cause"]["code"], explained["chain"]) == ("run-over", ["checked"])
    unknown = perdure("explain", "why", "nowhere")
    assert (unknown.code, "has no node 'nowhere'" in unknown.err) == (2, True)


def test_a_run_is_watched_to_its_end(perdure: Cli) -> None:
    perdure.write("g.yaml", GRAPH)
    perdure("run", "g.yaml", "--id", "watched", "--queue", "watched", "--detach")
    watching = perdure.start("status", "watched", "--watch")
    assert watching.stdout is not None
    while "waits for a worker on queue 'watched'" not in watching.stdout.readline():
        assert watching.poll() is None
    perdure("terminate", "watched")
    out, _ = watching.communicate(timeout=180)
    assert (watching.returncode, out.count("\n")) == (0, 1)
    assert out.startswith("watched (g): terminated after ")


def test_where_the_page_of_a_run_is(perdure: Cli) -> None:
    elsewhere = perdure("open", "a/b", "--print", PERDURE_UI_URL="https://runs.example.org")
    assert elsewhere.out == "https://runs.example.org/#/run/a%2Fb\n"
    nowhere = perdure("open", "a", "--print")
    assert (nowhere.code, "the page is not being served" in nowhere.err) == (2, True)


REPORTED = """\
nodes:
  rows: {value: [1, 2, 3]}
  read: {agent: echoAgent, placement: activity, inputs: {rows: ":rows"}}
  count:
    agent: copyAgent
    inputs: {after: ":read", units: ":rows.length()", wrong: 1}
    isResult: true
"""


def test_a_report(perdure: Cli) -> None:
    perdure.write("g.yaml", REPORTED)
    perdure.write("before.json", '{"errors": 50, "units": 75}')
    for id in ("first", "second"):
        assert perdure("run", "g.yaml", "--id", id).code == 0
    units = ("--unit", "count.units", "--errors", "count.wrong", "--baseline", "before.json")
    report = json.loads(perdure("report", "first", "second", *units, "--json").out)
    assert (report["states"], report["latency"]["count"], report["units"]) == ({"completed": 2}, 2, 6)
    assert round(report["error_reduction_percent"]) == 50
    assert report["bytes"]["server"] > report["bytes"]["calls"] > 0
    (calls,) = report["agents"].values()
    assert (calls["calls"], calls["attempts"], calls["lost"], calls["failed"]) == (2, 2, 0, 0)
    assert sum(each["calls"] for each in report["hosts"].values()) == 2
    shown = perdure("report", "first", *units).out
    assert "error reduction" in shown
    assert "echoAgent" in shown
    page = perdure("report", "first", "--html").out
    assert page.startswith("<!doctype html>")
    assert "<td>echoAgent" in page
    assert page.count("<svg") >= 3
    for wrong, finding in (
        (("--errors", "count.wrong"), "--errors needs --unit"),
        (("--unit", "count.nothing"), "run 'first' has no number at 'count.nothing'"),
        (("--unit", "nowhere"), "has no node 'nowhere'"),
        ((*units[:4], "--baseline", "g.yaml"), "g.yaml: it is not JSON"),
        (("--event", "count.units"), "--event needs --decision"),
    ):
        refused = perdure("report", "first", *wrong)
        assert (refused.code, finding in refused.err) == (2, True)


MODEL = '''\
from perdure import agent


@agent("model")
def model(inputs: dict) -> dict:
    """Stands for a language model."""
    return {"text": "Yes.", "usage": {"prompt_tokens": 2000, "completion_tokens": 500}}
'''
PRICES = '["gpt-5"]\ninput = 1.25\noutput = 10\n'


def test_what_a_call_used_and_cost(perdure: Cli) -> None:
    perdure.write("model.py", MODEL)
    perdure.write(
        "g.yaml", "nodes: {a: {agent: model, params: {model: gpt-5}, output: {t: .text}, isResult: true}}\n"
    )
    prices = str(perdure.folder / perdure.write("prices.toml", PRICES))
    assert perdure("run", "g.yaml", "--id", "spent", "--agents", "model.py").code == 0
    done = perdure("history", "spent", PERDURE_PRICES=prices)
    assert "2,500 tokens, 0.0075" in done.out
    assert done.err.endswith("the run used 2,500 tokens, 0.0075\n")
    plan = perdure("rerun", "spent", "--from", "a", "--dry-run", PERDURE_PRICES=prices)
    assert "2,500 tokens, 0.0075 the last time" in plan.out
    wrong = perdure("history", "spent", PERDURE_PRICES=str(perdure.folder / "none.toml"))
    assert (wrong.code, "PERDURE_PRICES is a TOML file" in wrong.err) == (2, True)
