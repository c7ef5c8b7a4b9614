"""The routes that change a run: ``rerun`` repeats it with a change, ``steer`` changes it while it runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.engine.steering.request import STEERING_CHOICES, Steering
from perdure.errors import UsageError
from perdure.graph.values import Value
from perdure.lineage.change import Change
from perdure.temporal.steering import WAIT
from perdure.web.answers import as_json
from perdure.web.bodies import (
    FLAG_SCHEMA,
    NAMES_SCHEMA,
    STRING_SCHEMA,
    VALUES_SCHEMA,
    amount,
    check_members,
    flag,
    names,
    string,
    values,
)
from perdure.web.runs_api import MAX_WAIT_S, body_of, run_of

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
        "running": {
            "enum": [*STEERING_CHOICES["running"], WAIT],
            "description": "of nodes that are executing",
        },
        "wait": {
            "type": "number",
            "maximum": MAX_WAIT_S,
            "description": 'with "wait": seconds until the change is refused if a node is still executing',
        },
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
    )
    run, if_hash = run_of(request), string(body, "ifHash")
    if flag(body, "dryRun"):
        return as_json(asdict(await run.preview(change, if_hash=if_hash)))
    _check_change(change)
    who, why, within_s = string(body, "who"), string(body, "why"), amount(body, "wait", MAX_WAIT_S)
    receipt = await run.steer(change, who=who, why=why, if_hash=if_hash, within_s=within_s)
    return as_json(asdict(receipt))


def _check_change(change: Steering) -> None:
    asked: list[Value] = [change.graph, change.values, change.retries, change.skips]
    if not any([*asked, change.pauses, change.resumes]):
        raise UsageError("there is nothing to change", hint="graph, set, retry, skip, pause or resume")


CHANGE_ROUTES: Final = [
    Route("/runs/{id}/rerun", rerun, methods=["POST"]),
    Route("/runs/{id}/steer", steer, methods=["POST"]),
]
