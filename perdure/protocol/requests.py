"""The request that starts a run, checked: anybody who reaches the server may start one.

An exception of another kind than PerdureError would fail the workflow task, and Temporal repeats that one
forever: so any error of a request is a UsageError, which ends the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from temporalio.common import RawValue

from perdure.engine.closed_questions import Closed, Receipt
from perdure.engine.messages import Quotas, RunOptions
from perdure.errors import MalformedPayload, UsageError
from perdure.graph.values import Value, is_dict, is_list
from perdure.protocol.payloads import RunRequest
from perdure.protocol.records import from_plain
from perdure.protocol.shapes import check_fields
from perdure.protocol.wire import unpack

_REQUEST_HINT = 'start `Graph` with one JSON object: {"document": {"nodes": …}}'


@dataclass(frozen=True, slots=True, kw_only=True)
class _ContinuedState:
    """What a run hands on to the one that continues it: a shape for checks, of which no record is made.

    `places` are those of the turns, `began` is in milliseconds since the epoch, `bytes` counts what the run
    has sent and received.
    """

    scheduler: Mapping[str, Value]
    places: Sequence[tuple[int, int, Sequence[Value] | None]]
    progress: Mapping[str, Value]
    began: int
    bytes: float
    people: Mapping[str, Value] = field(default_factory=dict[str, Value])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Progress:
    counts: Mapping[str, int]
    console: Sequence[str]
    lines: int
    failed: Sequence[tuple[str, str]] = ()
    since: Sequence[tuple[int, str, int]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _People:
    receipts: Sequence[Sequence[Value]] = ()
    closed: Sequence[Sequence[Value]] = ()
    open: Sequence[tuple[int, float, Sequence[Value], Sequence[Value], float, bool]] = ()
    early: Sequence[tuple[str, Value, str, str, float]] = ()
    audience: Sequence[str] = ()


def read_request(raw: RawValue, *, is_continued: bool) -> RunRequest:
    """The request in the argument of a run. Raises UsageError for one that is malformed.

    A snapshot is taken only where the run `is_continued`: no other start has one.
    """
    try:
        request = _read(unpack(raw), is_continued)
    except MalformedPayload as error:
        raise UsageError(f"the argument of the run: {error}", hint=_REQUEST_HINT) from error
    request.options.quotas.checked()
    if request.options.events < 1:
        raise UsageError(f"events: {request.options.events} is not above 0")
    return request


def _read(data: Any, is_continued: bool) -> RunRequest:
    if not is_dict(data) or "document" not in data:
        raise MalformedPayload("it is not an object with a document")
    for kind in (RunRequest, RunOptions):
        check_fields(kind, data)
    check_fields(Quotas, data.get("quotas", {}), "quotas.")
    if data.get("state") is not None:
        _check_state(data["state"], is_continued)
    return from_plain(RunRequest, data)


def _check_state(state: Any, is_continued: bool) -> None:
    if not is_continued:
        raise UsageError("state: only a run that continues another has a snapshot", hint=_REQUEST_HINT)
    check_fields(_ContinuedState, state, "state.")
    documents = state["scheduler"].get("documents")
    if not (is_list(documents) and documents):
        raise UsageError("state: there is no graph in the snapshot")
    check_fields(_Progress, state["progress"], "state.progress.")
    people = state.get("people", {})
    check_fields(_People, people, "state.people.")
    for kind, rows in ((Receipt, people.get("receipts", ())), (Closed, people.get("closed", ()))):
        names = [item.name for item in fields(kind)]
        for row in rows:
            check_fields(kind, dict(zip(names, row[1:], strict=False)), "state.people.")
            if not (row and isinstance(row[0], str)):
                raise MalformedPayload("state.people: a row does not begin with a name")
