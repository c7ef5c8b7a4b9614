"""The routes that change a run while it runs: ``/api/v1/runs/{id}/steer``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.engine.steering.request import STEERING_CHOICES, Steering
from perdure.errors import UsageError
from perdure.graph.values import Value
from perdure.web.answers import as_json
from perdure.web.bodies import (
    FLAG_SCHEMA,
    NAMES_SCHEMA,
    STRING_SCHEMA,
    VALUES_SCHEMA,
    check_members,
    flag,
    names,
    string,
    values,
)
from perdure.web.runs_api import body_of, run_of

STEERING_BODY: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "graph": {**VALUES_SCHEMA, "description": "the new graph"},
        "set": {**VALUES_SCHEMA, "description": "values of static nodes, results of nodes with agents"},
        "retry": {**NAMES_SCHEMA, "description": "failed nodes to execute again"},
        "skip": {**NAMES_SCHEMA, "description": "nodes to skip"},
        "pause": {**NAMES_SCHEMA, "description": 'nodes that are not to start, [""] for all'},
        "resume": {**NAMES_SCHEMA, "description": 'nodes that may start again, [""] for all'},
        "running": {"enum": list(STEERING_CHOICES["running"]), "description": "of nodes that are executing"},
        "done": {"enum": list(STEERING_CHOICES["done"]), "description": "of nodes that have a result"},
        "rows": {"enum": list(STEERING_CHOICES["rows"]), "description": "of a map that is under way"},
        "keep": {**NAMES_SCHEMA, "description": "nodes whose results stay"},
        "now": {**FLAG_SCHEMA, "description": "call again whose queue or limits change"},
        "ifHash": {**STRING_SCHEMA, "description": "only if the graph has this hash"},
        "who": {**STRING_SCHEMA, "description": "who makes the change"},
        "why": {**STRING_SCHEMA, "description": "why"},
        "dryRun": {**FLAG_SCHEMA, "description": "only show what would happen"},
    },
}


async def steer(request: Request) -> Response:
    """Changes a run while it runs. With `dryRun`, what would become of each node."""
    body = await body_of(request)
    check_members(body, STEERING_BODY)
    change = Steering(
        graph=values(body, "graph") or None,
        values=values(body, "set"),
        retries=names(body, "retry"),
        skips=names(body, "skip"),
        pauses=names(body, "pause"),
        resumes=names(body, "resume"),
        keeps=names(body, "keep"),
        now=flag(body, "now"),
        **{name: string(body, name, "refuse") for name in STEERING_CHOICES},  # pyright: ignore[reportArgumentType] -- they are strings
    ).checked()
    run, if_hash = run_of(request), string(body, "ifHash")
    if flag(body, "dryRun"):
        return as_json(asdict(await run.preview(change, if_hash=if_hash)))
    _check_change(change)
    who, why = string(body, "who"), string(body, "why")
    return as_json(asdict(await run.steer(change, who=who, why=why, if_hash=if_hash)))


def _check_change(change: Steering) -> None:
    asked: list[Value] = [change.graph, change.values, change.retries, change.skips]
    if not any([*asked, change.pauses, change.resumes]):
        raise UsageError("there is nothing to change", hint="graph, set, retry, skip, pause or resume")


STEERING_ROUTES: Final = [Route("/runs/{id}/steer", steer, methods=["POST"])]
