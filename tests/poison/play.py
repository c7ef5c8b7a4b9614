"""Plays one case, and says which of the bars it missed."""

from __future__ import annotations

import asyncio
import builtins
import json
import time
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.service import RPCError

from perdure import errors
from perdure.errors import PerdureError
from perdure.graph.text.shown import line
from perdure.runs import Run
from tests.poison.case import Case
from tests.poison.world import World, p95, settled
from tests.support.detector import MAX_ATTEMPT, open_timers

END_S = 60.0
"""Seconds in which a run must end."""

WAIT_S = 8.0
"""Seconds after which a run that may wait is looked at."""

GROWTH_BYTES = 200_000_000
"""By how much the worker may be larger afterwards, MEMORY_S seconds later at the latest."""

MEMORY_S = 15.0

SLOWER, FLOOR_S = 2.0, 2.0
"""How many times as long a neighbour may take as alone; what is faster than the floor is fast enough."""


@dataclass
class Verdict:
    """How a case went."""

    case: Case
    limit: float = END_S
    """Seconds in which the runs must end."""
    ends: list[str] = field(default_factory=list)
    """How the runs ended, or their present status."""
    missed: list[str] = field(default_factory=list)
    seconds: float = 0.0
    worked: float = 0.0
    """Seconds of processor time that the worker used, that of the runs next door included."""
    grown: int = 0
    """Bytes that the worker has more than before."""
    neighbour: float = 0.0
    """Seconds that 19 of 20 runs next door took."""

    def must(self, holds: bool, what: str) -> None:
        if not holds and what not in self.missed:
            self.missed.append(what)

    def line(self) -> str:
        """The row of the table."""
        times = f"{self.seconds:5.1f} s  {self.worked:5.1f} of CPU"
        figures = f"{times}  {self.grown / 1e6:+6.0f} MB  next door {self.neighbour:5.2f} s"
        head = (
            f"{'MISSED' if self.missed else 'held  '}  {self.case.kind:8}  {self.case.name:38.38}  {figures}"
        )
        ends = line(", ".join(sorted(set(self.ends)))[:150])
        return "\n".join([f"{head}  {ends}", *(f"        MISSED: {what}" for what in self.missed)])


async def play(here: World, case: Case, limit: float = END_S) -> Verdict:
    """Runs it next to a neighbour; it has `limit` seconds to end."""
    verdict, before, worked = Verdict(case, limit=limit), here.memory(), here.worked()
    over = asyncio.Event()
    neighbours = asyncio.create_task(_neighbours(here, over))
    began = time.monotonic()
    await asyncio.gather(*(_run(here, case, verdict) for _ in range(case.times)))
    verdict.seconds = time.monotonic() - began
    verdict.worked = here.worked() - worked if here.alive() else 0.0
    over.set()
    verdict.neighbour = p95(await neighbours)
    bar = max(FLOOR_S, SLOWER * here.alone)
    verdict.must(verdict.neighbour <= bar, f"19 of 20 runs next door took up to {verdict.neighbour:.1f} s")
    verdict.must(here.alive(), "the worker is dead")
    after = await settled(here, before + GROWTH_BYTES, MEMORY_S)
    verdict.grown = after - before
    verdict.must(verdict.grown <= GROWTH_BYTES, f"the worker keeps {verdict.grown / 1e6:.0f} MB")
    return verdict


async def _neighbours(here: World, over: asyncio.Event) -> list[float]:
    took = [await here.neighbour()]
    while not over.is_set():
        took.append(await here.neighbour())
    return took


async def _run(here: World, case: Case, verdict: Verdict) -> None:
    try:
        run = await _started(here, case)
    except PerdureError as error:
        verdict.ends.append(f"refused: {type(error).__name__}: {error}")
        return
    except RPCError as error:  # of the server: too large, say
        verdict.ends.append(f"refused by the server: {error.message}")
        return
    handle = here.client.temporal.get_workflow_handle(run.id)
    try:
        if case.messages:
            await _bothered(run, case, verdict)
        async with asyncio.timeout(WAIT_S if case.may_wait else verdict.limit):
            verdict.ends.append(await _end(handle, run, case, verdict))
    except TimeoutError:
        verdict.ends.append("waits")
        verdict.must(case.may_wait, f"no end within {verdict.limit:g} s")
    await _stuck(handle, case, verdict)
    if "waits" in verdict.ends:
        await handle.terminate("the case is over")


async def _started(here: World, case: Case) -> Run:
    if case.start is None:
        text = json.dumps(case.document).replace("HOSTILE", here.hostile)
        return await here.client.start(json.loads(text))
    id = f"raw-{token_hex(4)}"
    await here.client.temporal.start_workflow("Graph", args=case.start, id=id, task_queue="perdure")
    return here.client.get(id)


async def _end(handle: WorkflowHandle[Any, Any], run: Run, case: Case, verdict: Verdict) -> str:
    """How the run ended. Raises TimeoutError while it has not."""
    try:
        await run.result()
    except PerdureError as error:
        verdict.must(not case.messages, f"the answer did not arrive: {error}")
        await _typed(handle, verdict)
        return f"{type(error).__name__}: {error}"
    return "completed"


async def _typed(handle: WorkflowHandle[Any, Any], verdict: Verdict) -> None:
    """The failure in the history is one that Perdure has raised itself."""
    try:
        await handle.result()
    except Exception as error:
        cause = error.__cause__
        own = isinstance(cause, ApplicationError) and hasattr(errors, cause.type or "")
        verdict.must(own or isinstance(cause, CancelledError), f"untyped end: {cause!r:.200}")


async def _bothered(run: Run, case: Case, verdict: Verdict) -> None:
    """Sends the messages as soon as the run asks, then the answer."""
    async with asyncio.timeout(END_S):
        while not ((status := await run.status()) and status.questions):
            await asyncio.sleep(0.05)
    for kind, name, argument in case.messages:
        try:
            if kind == "update":
                await asyncio.wait_for(run.handle.execute_update(name, argument), 10)
            else:
                await run.handle.signal(name, argument)
        except TimeoutError:
            verdict.must(False, f"{kind} {name} was not answered")
        except Exception as error:
            cause = error.__cause__ or error
            verdict.ends.append(f"{type(error).__name__}: {cause}")
            kind = cause.type if isinstance(cause, ApplicationError) else None
            is_ours = "Update handler for" not in str(cause)  # else it is the SDK's refusal
            verdict.must(not (is_ours and hasattr(builtins, kind or "")), f"untyped refusal: {kind}")
    await asyncio.wait_for(run.answer("a", "yes"), 10)


async def _stuck(handle: WorkflowHandle[Any, Any], case: Case, verdict: Verdict) -> None:
    description = await handle.describe()
    raw = description.raw_description
    history = await handle.fetch_history()
    kind = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
    tried = [
        event.workflow_task_scheduled_event_attributes.attempt
        for event in history.events
        if event.event_type == kind
    ]
    attempts = max(raw.pending_workflow_task.attempt, *tried, 0)
    verdict.must(attempts <= MAX_ATTEMPT, f"a workflow task was tried {attempts} times")
    if description.status is WorkflowExecutionStatus.RUNNING and not case.waits_outside:
        pending = raw.pending_activities or raw.pending_children or raw.HasField("pending_workflow_task")
        verdict.must(bool(pending) or open_timers(history) > 0, "it runs with nothing pending")
