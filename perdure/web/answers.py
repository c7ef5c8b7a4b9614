"""Answers of the API: values as JSON, and every error with its place, finding and hint."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.errors import (
    ConnectionFailed,
    GraphError,
    NotFound,
    PerdureError,
    Problem,
    RunCancelled,
    RunConflict,
    RunFailed,
    UsageError,
)
from perdure.graph.javascript import stringify
from perdure.graph.text.shown import escaped
from perdure.graph.values import Value
from perdure.protocol.numpy_arrays import shown

STATUS_OF: Final[tuple[tuple[type[PerdureError], int], ...]] = (
    (NotFound, 404),
    (RunConflict, 409),
    (GraphError, 422),
    (ConnectionFailed, 503),
    (RunCancelled, 200),
    (RunFailed, 502),
    (UsageError, 400),
)
"""The HTTP status for each class of errors; others are 500."""


def as_json(value: Value, status: int = 200) -> Response:
    """The value as JSON: undefined members are left out, what acts on a terminal is an escape."""
    text = escaped(str(stringify(shown(value))))
    return Response(text, status, media_type="application/json")


def error_body(error: PerdureError) -> dict[str, Any]:
    """What is said of an error: class, finding and hint, and the problems of a graph with their places."""
    about: dict[str, Any] = {"type": type(error).__name__, "finding": error.finding, "hint": error.hint}
    if isinstance(error, GraphError):
        about["problems"] = [_problem(problem) for problem in error.problems]
    return {"error": about}


async def on_error(request: Request, error: Exception) -> Response:
    """The answer to a request that failed."""
    del request
    assert isinstance(error, PerdureError)
    status = next((code for kind, code in STATUS_OF if isinstance(error, kind)), 500)
    return as_json(error_body(error), status)


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "place": problem.place,
        "code": problem.code,
        "finding": problem.finding,
        "hint": problem.hint,
        "line": problem.line,
    }
