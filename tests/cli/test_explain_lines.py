"""What perdure explain prints for people."""

from datetime import UTC, datetime

from perdure.cli.commands.runs.explain import lines
from perdure.history.causes import Cause
from perdure.history.explain import Explanation

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_line_is_bounded() -> None:
    cause = Cause("asks", "n" * 100_000, "h" * 100_000)
    shown = lines(Explanation(address="a" * 100_000, state="waiting", cause=cause, chain=("b" * 9_000,)), NOW)
    assert [len(each) for each in shown] == [2_000] * 4
    assert all(each.endswith("…") for each in shown)


def test_what_is_short_is_whole() -> None:
    cause = Cause("inputs", "b waits for a", "perdure explain r a")
    shown = lines(Explanation(address="b", state="waiting", cause=cause), NOW)
    assert shown == ["b: waiting", "  b waits for a", "    hint: perdure explain r a"]
