"""What was at work when a process died is known to the next one, and counted once."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from perdure.daemon import worker_deaths
from perdure.daemon.work_journal import WorkJournal, head, read_marks, shortened
from perdure.daemon.worker_deaths import CALLS, TASK, Mark, TaskDeaths, WorkerDeaths

DIES = """
import os, sys
from pathlib import Path
from perdure.daemon.work_journal import WorkJournal, head
folder, *marks = sys.argv[1:]
journal = WorkJournal(Path(folder), 3)
context = journal.opened()
context.__enter__()
journal.end(journal.begin(head("task", "over", "over"), "7"))
for mark in marks:
    kind, run, place = mark.split()
    number = journal.begin(head(kind, run, f"id of {run}"), "0")
    journal.at(number, place)
os._exit(1)
"""


@pytest.fixture(autouse=True)
def looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look is a look."""
    monkeypatch.setattr(worker_deaths, "DEATHS_CHECK_INTERVAL_S", 0.0)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[WorkJournal]:
    journal = WorkJournal(tmp_path / "workers", 3)
    with journal.opened():
        yield journal


def dies(journal: WorkJournal, *marks: str) -> None:
    """A process dies with this at work, and another one looks."""
    subprocess.run([sys.executable, "-c", DIES, str(journal.folder), *marks], check=False)
    journal.look()


def test_what_was_at_work_is_counted(journal: WorkJournal, caplog: pytest.LogCaptureFixture) -> None:
    dies(journal, "task a 3", "task b 5", "calls a map[3].shout")
    assert journal.deaths.tasks == {"a": TaskDeaths(3, 1), "b": TaskDeaths(5, 1)}
    assert list(journal.deaths.calls) == [("a", "map[3].shout")]
    assert sorted(text.partition(" ended ")[2] for text in caplog.messages) == [
        "while run id of a was at work in its workflow task after event 3",
        "while run id of a was at work in the call map[3].shout",
        "while run id of b was at work in its workflow task after event 5",
    ]
    dies(journal, "task a 3", "task b 9")  # b has come further
    dies(journal, "task a 1")  # in a replay
    assert journal.deaths.tasks == {"b": TaskDeaths(9, 1), "a": TaskDeaths(3, 3)}
    other = WorkerDeaths(journal.folder, read_marks)
    other.look(None)
    assert (other.tasks, other.calls) == (journal.deaths.tasks, journal.deaths.calls)
    other.forget("a")
    journal.look()
    assert journal.deaths.tasks == {"b": TaskDeaths(9, 1)}


def test_a_process_that_ends_leaves_nothing(tmp_path: Path) -> None:
    journal = WorkJournal(tmp_path, 3)
    with journal.opened():
        mark = journal.begin(head(TASK, "a", "a"), "3")
        (own,) = tmp_path.glob("*.journal")
        assert list(read_marks(own.read_bytes())) == [Mark(TASK, "a", "a", "3")]
        WorkerDeaths(tmp_path, read_marks).look(None)  # another worker: this one lives
    journal.end(mark)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_marks(journal: WorkJournal) -> None:
    marks = [journal.begin(head(CALLS, "r" * 36, "n" * 1000), "p" * 1000) for _ in range(257)]
    assert marks.index(-1) == 256
    journal.at(marks[-1], "nowhere")
    journal.at(marks[0], "ü" * 500)
    for mark in marks[1:]:
        journal.end(mark)
    (own,) = journal.folder.glob("*.journal")
    (left,) = read_marks(own.read_bytes())
    assert (left.kind, left.run, left.place) == (CALLS, "r" * 36, shortened("ü" * 500))
    assert left.name == "n" * 149  # with the rest, 192 bytes
    assert len(left.place) == 320
    assert list(read_marks(b"\xff" * 5000)) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "workers").write_text("a file")
    journal = WorkJournal(tmp_path / "workers", 3)
    with journal.opened():
        assert journal.begin(head(TASK, "a", "a"), "3") == -1
    assert "what ends this process will not be known to the next one" in caplog.text


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tasks": [["a"]]}', '{"tasks": [], "calls": [7]}'])
def test_damaged_counts(journal: WorkJournal, text: str) -> None:
    (journal.folder / "deaths.json").write_text(text)
    dies(journal, "task a 3")
    assert journal.deaths.tasks == {"a": TaskDeaths(3, 1)}


def test_counts_are_bounded(journal: WorkJournal) -> None:
    many = [[f"run {number}", 1, 1] for number in range(1000)]
    known = {"tasks": many, "calls": [[run, "p"] for run, *_ in many]}
    (journal.folder / "deaths.json").write_text(json.dumps(known))
    dies(journal, "task a 3", "calls a p")
    deaths = journal.deaths
    assert (len(deaths.tasks), len(deaths.calls)) == (1000, 1000)
    assert "run 0" not in deaths.tasks
    assert ("a", "p") in deaths.calls


def test_two_that_look_count_once(journal: WorkJournal) -> None:
    others = [WorkJournal(journal.folder, 3) for _ in range(3)]
    with ExitStack() as stack:
        for other in others:
            stack.enter_context(other.opened())
        dies(journal, "task a 3")
        for other in others:
            other.look()
            assert other.deaths.tasks == {"a": TaskDeaths(3, 1)}
