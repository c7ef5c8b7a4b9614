"""What the page shows of a run: small views of a read model, whatever its size."""

from perdure.history.model import Attempt, NodeModel, Phase, RowCounts, RunModel
from perdure.history.notices import Delivery, QuestionNotice
from perdure.web import inbox_api, node_views, runs_api, timeline, views

GRAPH = {
    "nodes": {
        "list": {"value": 1},
        "slow": {"agent": "copyAgent"},
        "m": {
            "agent": "mapAgent",
            "inputs": {"rows": ":list", "s": ":slow"},
            "graph": {"nodes": {"a": {"agent": "copyAgent"}}},
        },
        "end": {"agent": "copyAgent", "inputs": {"x": ":m"}},
    }
}


def _model(rows: int = 1_000, failed: int | None = None) -> RunModel:
    done = Phase.COMPLETED
    counts = RowCounts(
        total=rows, opened=rows, done=rows - (failed is not None), failed=int(failed is not None)
    )
    nodes = [
        NodeModel(address="list", node="list", phase=Phase.INJECTED, ended=0),
        NodeModel(address="slow", node="slow", agent="copyAgent", phase=done, started=0, ended=50),
        NodeModel(address="m", node="m", agent="mapAgent", phase=done, started=50, ended=90, rows=counts),
        NodeModel(address="end", node="end", agent="copyAgent", phase=done, started=90, ended=95),
    ]
    nodes += [
        NodeModel(
            address=f"m[{row}].a",
            node="a",
            parent="m",
            row=row,
            agent="copyAgent",
            phase=Phase.FAILED if row == failed else done,
            failure="broken" if row == failed else None,
            started=50,
            ended=60 + row,
        )
        for row in range(rows)
    ]
    return RunModel(
        id="r", name="g", state="completed", graph=GRAPH, started=0, ended=95,
        nodes={node.address: node for node in nodes},
    )  # fmt: skip


def test_a_map_is_one_box_with_counts_and_a_strip() -> None:
    shown = views.boxes(_model(failed=741))
    assert list(shown) == ["list", "slow", "m", "end", "m.a"]
    assert shown["m"]["rows"] == {"total": 1_000, "opened": 1_000, "done": 999, "failed": 1}
    assert shown["m"]["strip"] == "c" * 74 + "f" + "c" * 25
    assert shown["m.a"] == {"phase": "failed", "count": 1_000, "phases": {"completed": 999, "failed": 1}}


def test_rows_come_in_pages_and_by_state() -> None:
    model = _model(failed=741)
    page = views.rows_page(model, "m", 740, 3)
    assert (page["total"], [row["row"] for row in page["rows"]]) == (1_000, [740, 741, 742])
    failed = views.rows_page(model, "m", 0, 50, "failed")
    assert failed["total"] == 1
    assert failed["rows"] == [
        {
            "row": 741,
            "phase": "failed",
            "seconds": 0.751,
            "failure": "broken",
            "nodes": [{"address": "m[741].a", "node": "a", "phase": "failed"}],
        }
    ]
    assert len(views.rows_page(model, "m", 0, 10_000)["rows"]) == 200


def test_the_last_pass_of_a_loop_is_shown() -> None:
    nodes = [
        NodeModel(address="a", node="a", agent="x", phase=Phase.FAILED, iteration=0),
        NodeModel(address="a@1", node="a", agent="x", phase=Phase.RUNNING, iteration=1),
    ]
    model = RunModel(
        id="r", name="g", state="running", graph={}, nodes={node.address: node for node in nodes}
    )
    shown = views.boxes(model)["a"]
    assert (shown["phase"], shown["address"], shown["pass"]) == ("running", "a@1", 1)


def test_the_timeline_keeps_the_longest_bars_and_marks_the_critical_path() -> None:
    shown = timeline.timeline(_model())
    assert len(shown["bars"]) == 400
    assert shown["hidden"] == 602
    assert {bar["address"] for bar in shown["bars"] if bar["critical"]} == {"slow", "end"}
    assert timeline.critical_path(_model()) == {"end", "m", "slow"}


def test_each_channel_of_a_notice_is_a_line() -> None:
    attempt = Attempt(path="leads", number=2, due=9, failure="503")
    deliveries = (
        Delivery(channel="default", phase=Phase.COMPLETED, attempt=Attempt(path="default", ended=7)),
        Delivery(channel="leads", phase=Phase.BACKOFF, attempt=attempt),
    )
    notice = QuestionNotice(id="n", event="reminded", number=1, path="ask", at=5, deliveries=deliveries)
    shown = node_views.node_view(NodeModel(address="ask", node="ask"), {}, None, [notice])["notices"]
    names = ("notice", "channel", "phase", "at", "ended", "due", "failure")
    assert [tuple(line[name] for name in names) for line in shown] == [
        ("reminder 1", "default", "completed", 5, 7, None, None),
        ("reminder 1", "leads", "backoff", 5, None, 9, "503"),
    ]


def test_long_values_and_consoles_are_cut() -> None:
    shown = node_views.shown_value("x" * 100_000)
    assert shown is not None
    assert (len(shown["text"]), shown["chars"], shown["cut"]) == (65_536, 100_002, True)
    assert views.MAX_CONSOLE_LINE_COUNT == 200


def test_limits_of_lists() -> None:
    assert inbox_api.MAX_INBOX_RUN_COUNT == 200
    assert runs_api.MAX_LIST_COUNT == 500
