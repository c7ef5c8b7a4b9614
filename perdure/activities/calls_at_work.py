"""The calls that a worker makes besides the run, noted so that the one that ends the process is known.

See perdure.daemon.work_journal. A call that was at work when a process died is not made there again: it gets
an activity of its own, whose attempts the server counts (perdure.engine.attempts). So a call that is not to
blame costs one activity, and one that is to blame fails with its node, and not with its run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from temporalio import activity

from perdure.activities.failures import not_local
from perdure.daemon.work_journal import WorkJournal, head, shortened
from perdure.daemon.worker_deaths import CALLS


def _note_nothing(path: str) -> None:
    del path


@dataclass(frozen=True, slots=True)
class CallsAtWork:
    """The calls of one activity, for one run.

    `begin` notes that the call at a path is at work from now on, until the next one. `deaths` are the calls
    with which processes have died, of all runs.
    """

    begin: Callable[[str], None] = _note_nothing
    run: str = ""
    deaths: Collection[tuple[str, str]] = ()
    only_recalls: bool = False

    @property
    def has_suspects(self) -> bool:
        """Whether there may be calls that are suspect: hardly ever."""
        return self.only_recalls or bool(self.deaths)

    def is_suspect(self, path: str) -> bool:
        """Whether a process has died with this call at work, or with the run itself."""
        return self.only_recalls or (self.run, shortened(path)) in self.deaths


@contextmanager
def calls_at_work(
    journal: WorkJournal | None, run: str, path: str = "", *, recalls: bool = False
) -> Generator[CallsAtWork]:
    """Lasts as long as calls of `run`, the id of the first run of its chain, are at work: the one at `path`.

    Raises ApplicationError where a process has died with it at work, unless the run `recalls` answers of an
    earlier one: the calls of these must not be made again. No agent is called then.
    """
    if journal is None:
        yield CallsAtWork()
        return
    journal.look()
    is_blamed = (run, shortened(path)) in journal.deaths.calls
    if is_blamed and not recalls:
        raise not_local("a process has ended while this was at work")
    mark = journal.begin(head(CALLS, run, activity.info().workflow_id or ""), path)
    try:
        yield CallsAtWork(partial(journal.at, mark), run, journal.deaths.calls, is_blamed)
    finally:
        journal.end(mark)
