"""The route that repeats a run with a change: ``/api/v1/runs/{id}/rerun``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.lineage.change import Change
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

RERUN_BODY: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "dryRun": {**FLAG_SCHEMA, "description": "show what would run; start nothing"},
        "id": {**STRING_SCHEMA, "description": "the id of the new run, else the old one and a number"},
        "from": {**NAMES_SCHEMA, "description": "nodes to call again"},
        "set": {**VALUES_SCHEMA, "description": "values of static nodes, results of nodes with agents"},
        "with": {**VALUES_SCHEMA, "description": "params, by AGENT.param or NODE.param"},
        "graph": {**VALUES_SCHEMA, "description": "another graph"},
        "rename": {**VALUES_SCHEMA, "description": "names in the old graph, and those in the new one"},
        "askAgain": {**NAMES_SCHEMA, "description": 'nodes that ask a person again, ["*"] for all'},
        "force": {**FLAG_SCHEMA, "description": "run all that depends on a change"},
        "changedAgents": {**FLAG_SCHEMA, "description": "call agents again whose code has changed since"},
    },
}


async def rerun(request: Request) -> Response:
    """Repeats a run with a change: only what depends on it is called. With `dryRun`, what that would be."""
    body = await body_of(request)
    check_members(body, RERUN_BODY)
    change = Change(
        begin_at=names(body, "from"),
        values=values(body, "set"),
        graph=values(body, "graph") or None,
        renames={old: str(new) for old, new in values(body, "rename").items()},
        params=values(body, "with"),
        asks_again=names(body, "askAgain"),
        force=flag(body, "force"),
        changed_agents=flag(body, "changedAgents"),
    )
    run = run_of(request)
    if flag(body, "dryRun"):
        return as_json(asdict(await run.plan_rerun(change, prices=request.app.state.prices)))
    new = await run.rerun(change, id=string(body, "id") or None)
    return as_json({"id": new.id, "url": f"/api/v1/runs/{new.id}"}, 201)


RERUN_ROUTES: Final = [Route("/runs/{id}/rerun", rerun, methods=["POST"])]
