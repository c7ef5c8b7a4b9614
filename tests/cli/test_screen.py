"""Lines that replace each other."""

import pytest

from perdure.cli.progress.screen import cut, screen


def test_without_a_terminal_only_what_differs_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    with screen() as show:
        show(["r: running for 1 s", "a 1 s", "b"], ["r: running", "a", "b"])
        show(["r: running for 2 s", "a 2 s", "b"], ["r: running", "a", "b"])
        show(["r: running for 3 s", "a 3 s", "c"], ["r: running", "a", "c"])
        show(["r: completed", "a", "c"], ["r: completed", "a", "c"])
    lines = ["r: running for 1 s", "a 1 s", "b", "r: running for 3 s", "c", "r: completed"]
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.parametrize(
    ("height", "shown"),
    [
        (4, ["r", "a", "b", "c"]),
        (3, ["r", "  … 2 lines more", "c"]),
        (1, ["r", "  … 2 lines more", "c"]),
    ],
)
def test_on_a_low_terminal(height: int, shown: list[str]) -> None:
    assert cut(["r", "a", "b", "c"], height) == shown
