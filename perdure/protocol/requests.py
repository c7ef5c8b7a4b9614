"""The request that starts a run, checked: anybody who reaches the server may start one.

An exception of another kind than PerdureError would fail the workflow task, and Temporal repeats that one
forever: so any error of a request is a UsageError, which ends the run.
"""

from __future__ import annotations

from typing import Any

from temporalio.common import RawValue

from perdure.engine.messages import Quotas, RunOptions
from perdure.errors import MalformedPayload, UsageError
from perdure.graph.values import is_dict
from perdure.protocol.continued import check_state
from perdure.protocol.payloads import RunRequest
from perdure.protocol.records import from_plain
from perdure.protocol.shapes import check_fields
from perdure.protocol.wire import unpack

_REQUEST_HINT = 'start `Graph` with one JSON object: {"document": {"nodes": …}}'


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
        if not is_continued:
            raise UsageError("state: only a run that continues another has a snapshot", hint=_REQUEST_HINT)
        check_state(data["state"])
    return from_plain(RunRequest, data)
