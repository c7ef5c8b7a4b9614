"""The route that repeats a run with a change: ``/api/v1/runs/{id}/rerun``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.errors import UsageError
from perdure.lineage.change import Change
from perdure.web.answers import as_json
from perdure.web.bodies import check_members, names, values
from perdure.web.runs_api import body_of, run_of

_NAMES: Final[dict[str, Any]] = {"type": "array", "items": {"type": "string"}}
_VALUES: Final[dict[str, Any]] = {"type": "object"}
RERUN_BODY: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "dryRun": {"type": "boolean", "description": "show what would run; start nothing"},
        "id": {
            "type": "string",
            "description": "the id of the new run, else the old one and a number",
        },
        "from": {**_NAMES, "description": "nodes to call again"},
        "set": {**_VALUES, "description": "values of static nodes, results of nodes with agents"},
        "with": {**_VALUES, "description": "params, by AGENT.param or NODE.param"},
        "graph": {**_VALUES, "description": "another graph"},
        "rename": {
            **_VALUES,
            "description": "names in the old graph, and those in the new one",
        },
        "askAgain": {**_NAMES, "description": 'nodes that ask a person again, ["*"] for all'},
        "force": {"type": "boolean", "description": "run all that depends on a change"},
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
        force=body.get("force") is True,
    )
    run = run_of(request)
    if body.get("dryRun") is True:
        return as_json(asdict(await run.plan_rerun(change, prices=request.app.state.prices)))
    id = body.get("id")
    if not isinstance(id, str | None):
        raise UsageError("id is not a string")
    new = await run.rerun(change, id=id)
    return as_json({"id": new.id, "url": f"/api/v1/runs/{new.id}"}, 201)


RERUN_ROUTES: Final = [Route("/runs/{id}/rerun", rerun, methods=["POST"])]
