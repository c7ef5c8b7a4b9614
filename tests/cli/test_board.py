"""The progress of a run: rows, changes, and how both are drawn."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from perdure.cli.commands.runs.status import lines
from perdure.cli.progress.follow import may_print
from perdure.cli.progress.live import LiveView, picture
from perdure.cli.progress.progress_table import ProgressTable, Row, duration, fitting
from perdure.cli.progress.views import PlainView
from perdure.engine.human_tasks import HumanPrompt
from perdure.graph.text.load import load_value
from perdure.history.model import NodeModel
from perdure.monitoring.report import PendingCall, RunReport
from perdure.protocol.payloads import NodeStatus, RunResult, RunStatus

GRAPH = load_value("""
nodes:
  text: {value: x}
  chapters: {agent: mapAgent, inputs: {rows: ":text"}, graph: {nodes: {}}}
  chapters.x: {agent: copyAgent}
  last: {agent: copyAgent, inputs: {a: ":chapters"}}
""")


def status_of(*rows: NodeStatus, iteration: int = 0) -> RunStatus:
    return RunStatus(nodes=rows, iteration=iteration)


def test_rows_of_the_graph_itself_with_what_is_inside_summed_up():
    board = ProgressTable.of(GRAPH)
    board.hear(
        status_of(
            NodeStatus(path="text", state="injected"),
            NodeStatus(path="chapters@2", state="executing", since=5_000, done=37, total=100),
            NodeStatus(path="chapters[3].summarize@1#2", state="executing", since=6_000),
            NodeStatus(path="chapters[4].main.deep", state="executing", since=6_000),
            NodeStatus(path="chapters[5].summarize", state="queued"),
            NodeStatus(path="last#1", state="executing", retries=1, since=9_500, error="it broke"),
            iteration=2,
        )
    )
    assert board.iteration == 2
    assert board.rows(10.0) == [
        Row("chapters", "executing", "mapAgent", 5.0, 1, "37/100  summarize, deep"),
        Row("chapters.x", "waiting", "copyAgent"),
        Row("last", "executing", "copyAgent", 0.5, 2, "it broke"),
    ]


def test_a_time_stays_when_the_node_has_ended():
    board = ProgressTable.of(GRAPH)
    board.hear(status_of(NodeStatus(path="last", state="executing", since=1_000)))
    assert board.rows(3.5)[2].seconds == 2.5
    board.finish({"chapters": "completed", "last": "failed"}, {"last": "why"}, 9.0)
    assert board.rows(9.0)[2] == Row("last", "failed", "copyAgent", 2.5, 1, "why")


def test_changes_are_shown_once():
    board = ProgressTable.of(GRAPH)
    assert board.changes() == []
    board.hear(
        status_of(NodeStatus(path="chapters", state="executing"), NodeStatus(path="last", state="queued"))
    )
    assert board.changes() == ["chapters executing"]
    assert board.changes() == []
    board.finish({"chapters": "completed", "chapters.x": "skipped", "last": "waiting"}, {}, 0.0)
    assert board.changes() == ["chapters completed", "chapters.x skipped"]


@pytest.mark.parametrize(
    ("path", "owner"), [("chapters[3].a", "chapters"), ("chapters.x.y", "chapters.x"), ("other.y", None)]
)
def test_the_owner_of_a_path(path, owner):
    assert ProgressTable.of(GRAPH).owner(path) == owner


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_rows_that_fit():
    rows = [Row("a", "completed"), Row("b", "waiting"), Row("c", "executing"), Row("d", "failed")]
    assert fitting(rows, 4) == (rows, 0)
    assert fitting(rows, 3) == ([rows[2], rows[3]], 2)


def test_a_picture():
    console = Console(file=io.StringIO(), width=70)
    rows = [
        Row("chapters", "executing", "mapAgent", 12.0, 1, "37/100"),
        Row("b\x1b[31m", "failed", "copyAgent", 0.5, 3, "long " * 30),
        Row("c", "waiting", "x"),
    ]
    console.print(picture(rows, hidden=4, iteration=2))
    assert isinstance(console.file, io.StringIO)
    drawn = console.file.getvalue().splitlines()
    assert [line.rstrip() for line in drawn] == [
        "iteration 2",
        "▶  chapters  mapAgent   12 s   37/100",
        "✗  b         copyAgent  0.5 s  attempt 3  long long long long long lo…",
        "·  c         x",
        "… and 4 more nodes",
    ]


def test_the_views(capsys):
    board = ProgressTable.of(GRAPH)
    board.finish({"chapters": "completed"}, {}, 0.0)
    plain = PlainView()
    plain.lines(["\x1b[1mhello"])
    plain.show(board)
    plain.pause()
    plain.close()
    assert capsys.readouterr().err == "hello\nchapters completed\n"
    file = io.StringIO()
    live = LiveView(Console(file=file, force_terminal=True, width=60, height=10))
    live.show(board)
    live.lines(["above"])
    live.close()
    assert "above" in file.getvalue()
    assert file.getvalue().rstrip().endswith("\x1b[?25h")


@pytest.mark.parametrize(
    ("text", "can"),
    [
        ("nodes: {a: {agent: copyAgent}}", False),
        ("nodes: {a: {agent: copyAgent, console: true}}", True),
        ("nodes: {a: {agent: consoleAgent}}", True),
        ("nodes: {a: {agent: ofMine}}", True),
        ("nodes: {a: {agent: openAIAgent, params: {verbose: true}}}", True),
        ("nodes: {a: {agent: mapAgent, graph: {nodes: {b: {agent: consoleAgent}}}}}", True),
        ("nodes: {a: {agent: mapAgent, graph: {nodes: {b: {agent: copyAgent}}}}}", False),
    ],
)
def test_which_graphs_can_print(text, can):
    assert may_print(load_value(text)) == can


def test_a_status_for_people():
    asked = HumanPrompt(path="ask", message="Name?")
    status = RunStatus(
        iteration=1,
        nodes=(NodeStatus(path="a", state="executing", since=1_000, done=1, total=3, error="odd"),),
        questions=(asked,),
        console=("a: hello", "no API key: small answers for every model", "no API key: again"),
    )
    calls = (
        PendingCall(
            path="a",
            agent="openAIAgent",
            queue="q",
            started=True,
            attempt=4,
            last_failure="429",
            account="3 failed for now",
        ),
        PendingCall(path="b", agent="copyAgent", queue="gpu", started=False),
        PendingCall(path="c", agent="hang", queue="q", started=True, since=1_000),
        PendingCall(path="d", agent="copyAgent", queue="@store-7", started=False, since=1_000),
    )
    report = RunReport(
        id="r1",
        state="running",
        name="g",
        status=status,
        pending=calls,
        unserved=("gpu", "@store-7"),
        attempt=3,
    )
    assert lines(report, None, (), datetime.fromtimestamp(7_261, UTC)) == [
        "r1 (g): running",
        "  iteration 1",
        "  ▶ a executing 2 h 1 min 1/3 (odd)",
        "  ask waits for an answer to 'Name?': perdure answer r1 ask TEXT",
        "  no API key: small answers for every model",
        "  stuck: workers fail at its next step, attempt 3; see their logs",
        "  call a of openAIAgent is with a worker, attempt 4 (3 failed for now); last failure: 429",
        "  call b of copyAgent waits on queue 'gpu'",
        "  call c of hang is with a worker for 2 h 1 min",
        "  call d of copyAgent waits on queue '@store-7' for 2 h 1 min",
        "  waits for a worker on queue 'gpu': perdure worker --queue gpu",
        "  waits for host 'store-7', which is not there: perdure worker --host store-7",
    ]


def test_a_run_that_its_command_has_left_is_continued_by_another():
    report = RunReport(id="r1", state="paused", unserved=("perdure-0123abcd.45ef67",))
    at = datetime.fromtimestamp(1, UTC)
    continued = "  the command that executed it has ended: perdure result r1 continues it"
    assert lines(report, None, (), at, local=True) == ["r1: paused", continued]
    assert "perdure worker --queue" in lines(report, None, (), at)[1]


def test_a_status_of_what_has_ended():
    begun, closed = (datetime.fromtimestamp(second, UTC) for second in (1, 3))
    report = RunReport(id="r1", state="failed", name="g", started=begun, closed=closed)
    ended = RunResult(states={"a": "failed", "b": "waiting"}, errors={"a": "it broke"})
    assert lines(report, ended, (), closed) == [
        "r1 (g): failed after 2.0 s",
        "  ✗ a failed (it broke)",
        "  · b waiting",
    ]


def inner(number: int) -> NodeModel:
    address = f"m[{number}].a"
    return NodeModel(address=address, node="a", parent="m", row=number, state="failed", failure="no")


def test_many_inner_failures():
    begun, closed = (datetime.fromtimestamp(second, UTC) for second in (1, 3))
    report = RunReport(id="r1", state="failed", name="g", started=begun, closed=closed)
    ended = RunResult(states={"m": "failed"}, errors={"m": "no"}, failure="no")
    shown = lines(report, ended, [inner(number) for number in range(25)], closed)
    assert shown[:3] == ["r1 (g): failed after 2.0 s", "  ✗ m failed (no)", "  ✗ m[0].a failed (no)"]
    assert shown[-2:] == ["  ✗ m[19].a failed (no)", "  … and 5 more inside: perdure history r1"]


# seconds, the node's row and what was said of it, the lines that are written
LOG = [
    (0, NodeStatus(path="chapters", state="executing", total=50), "", ["chapters executing"]),
    (1, NodeStatus(path="chapters", state="executing", done=3, total=50), "", []),
    (10, NodeStatus(path="chapters", state="executing", done=9, total=50), "", ["chapters  9/50"]),
    (11, NodeStatus(path="chapters", state="executing", done=9, total=50), "429", ["chapters  9/50  429"]),
    (12, NodeStatus(path="chapters", state="executing", done=9, total=50), "503", []),
    (21, NodeStatus(path="chapters", state="executing", done=9, total=50), "503", ["chapters  9/50  503"]),
    (60, NodeStatus(path="chapters", state="executing", done=9, total=50), "503", []),
    (61, NodeStatus(path="chapters", state="completed", done=50, total=50), "503", ["chapters completed"]),
]


def test_without_a_terminal_progress_and_failures_are_written_now_and_then(capsys):
    now = [0.0]
    board, shown = ProgressTable.of(GRAPH), PlainView(lambda: now[0])
    for seconds, row, failure, written in LOG:
        now[0] = float(seconds)
        board.hear(status_of(row))
        board.say("chapters", failure)
        shown.show(board)
        assert capsys.readouterr().err.splitlines() == written, seconds
