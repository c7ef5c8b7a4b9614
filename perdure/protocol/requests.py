"""The request that starts a run, checked: anybody who reaches the server may start one.

An exception of another kind than PerdureError would fail the workflow task, and Temporal repeats that one
forever: so any error of a request is a UsageError, which ends the run. The checks follow from
the types of the dataclasses; a separate schema could disagree with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from temporalio.common import RawValue

from perdure.engine.messages import Quotas, RunOptions
from perdure.errors import UsageError
from perdure.graph.values import is_dict, is_list
from perdure.protocol.payloads import RunRequest
from perdure.protocol.records import from_plain
from perdure.protocol.wire import ENCODING, unpack

_REQUEST_HINT = 'start `Graph` with one JSON object: {"document": {"nodes": …}}'
_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, RecursionError)


def read_request(raw: RawValue, *, is_continued: bool) -> RunRequest:
    """The request in the argument of a run. Raises UsageError for one that is malformed.

    A snapshot is taken only where the run `is_continued`: no other start has one.
    """
    encoding = raw.payload.metadata.get("encoding", b"")
    if encoding != ENCODING:
        name = encoding.decode(errors="replace")[:50]
        raise UsageError(f"the argument of the run is encoded as {name!r}, not as JSON", hint=_REQUEST_HINT)
    try:
        data = unpack(raw)
    except _UNREADABLE as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise UsageError(f"the argument of the run is not readable: {reason}", hint=_REQUEST_HINT) from error
    if not is_dict(data) or "document" not in data:
        raise UsageError("the argument of the run is not an object with a document", hint=_REQUEST_HINT)
    for kind in (RunRequest, RunOptions):
        _check(kind, data)
    _check(Quotas, data.get("quotas", {}), "quotas.")
    if data.get("state") is not None:
        _check_state(data["state"], is_continued)
    request = from_plain(RunRequest, data)
    request.options.quotas.checked()
    if request.options.events < 1:
        raise UsageError(f"events: {request.options.events} is not above 0")
    return request


def _check(kind: type[Any], data: Mapping[str, Any], place: str = "") -> None:
    for name, hint in _hints(kind):
        if name in data and not _fits(data[name], hint):
            kind_name = type(data[name]).__name__
            raise UsageError(
                f"{place}{name}: a value of type {kind_name} does not belong here", hint=_REQUEST_HINT
            )


def _check_state(state: Mapping[str, Any], is_continued: bool) -> None:
    if not is_continued:
        raise UsageError("state: only a run that continues another has a snapshot", hint=_REQUEST_HINT)
    scheduler = state.get("scheduler")
    documents = scheduler.get("documents") if is_dict(scheduler) else None
    if not (is_list(documents) and documents):
        raise UsageError("state: there is no graph in the snapshot")


@cache
def _hints(kind: type[Any]) -> Sequence[tuple[str, Any]]:
    """The fields of a class and their types; those that are inlined are checked by themselves."""
    hints = get_type_hints(kind)
    return [
        (item.name, hints[item.name])
        for item in fields(kind)
        if item.name != "document" and not item.metadata.get("inline")
    ]


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in arguments)
    if hint is NoneType:
        return value is None
    if origin is Mapping or hint is Quotas:
        return is_dict(value)
    if origin is Sequence:
        return is_list(value) and all(_fits(item, arguments[0]) for item in value)
    if origin is tuple:
        return is_list(value) and len(value) == len(arguments) and all(map(_fits, value, arguments))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return hint is Any or isinstance(value, hint)
