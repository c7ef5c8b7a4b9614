"""Who takes part: the hosts that are there, and the same sample of them for the same round."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from math import ceil
from typing import Annotated, Any, Final

from pydantic import Field

from perdure.agents.agent import Sample, agent
from perdure.agents.distributed.values import count_of
from perdure.agents.schema import array, fields, mapping, number
from perdure.errors import FinalError, TransientError
from perdure.graph.values import Value, is_dict

_NO_HOSTS: Final = "start some with `perdure worker --host NAME --label LABEL`"


@dataclass(frozen=True, kw_only=True)
class MembersParams:
    """Which hosts take part."""

    label: Annotated[str | None, Field(description="only hosts with this label")] = None
    fraction: Annotated[float, Field(gt=0, le=1, description="the share of them that takes part")] = 1
    least: Annotated[int, Field(ge=1, alias="atLeast", description="at least this many take part")] = 1
    seed: Annotated[int, Field(description="another seed draws other samples")] = 0
    members: Annotated[
        list[Any] | None, Field(description="who there is, `{id, labels}` each, instead of the hosts")
    ] = field(default=None)


@agent(
    "membersAgent",
    description="Lists the hosts that are there, or the same sample of them for the same round",
    category="data",
    inputs=fields(round=number("the number of the round, 0 by default")),
    output=fields(
        rows=array("`{id, queue, labels}` each, by id", mapping()), of=number("how many there are")
    ),
    samples=[
        Sample(
            inputs={"round": 1},
            params={
                "label": "site",
                "fraction": 0.5,
                "members": [{"id": "a", "labels": ["site"]}, {"id": "b", "labels": ["site"]}, {"id": "c"}],
            },
            result={"rows": [{"id": "b", "queue": "@b", "labels": ["site"]}], "of": 2},
        )
    ],
)
async def members(inputs: dict[str, Value], params: MembersParams) -> Value:
    """The answer is in the history, so a replay has the same members, also if other hosts are up by then.

    Raises TransientError if fewer hosts are up than needed: the call is repeated until they come.
    """
    known = await _present() if params.members is None else [_row(host) for host in params.members]
    there = [row for row in known if params.label is None or params.label in row["labels"]]
    needed = max(params.least, ceil(round(params.fraction * len(there), 6)))
    if len(there) < needed:
        label = "" if params.label is None else f" with the label {params.label!r}"
        finding = f"membersAgent: {needed} hosts{label} are needed, and there are {len(there)}"
        raise TransientError(finding, hint=_NO_HOSTS)
    lot = count_of(inputs, "round", "membersAgent: inputs", 0)
    drawn = sorted(there, key=lambda row: _draw(params.seed, lot, row["id"]))[:needed]
    return {"rows": sorted(drawn, key=lambda row: row["id"]), "of": len(there)}


def _draw(seed: int, lot: int, id: str) -> bytes:
    return sha256(f"{seed}:{lot}:{id}".encode()).digest()


def _row(listed: Value) -> dict[str, Any]:
    if not is_dict(listed) or not isinstance(listed.get("id"), str):
        raise FinalError("membersAgent: params.members is a list of {id, labels}, each with a string as id")
    return {"id": listed["id"], "queue": f"@{listed['id']}", "labels": list(listed.get("labels", ()))}


async def _present() -> list[dict[str, Any]]:
    """The hosts that the server sees. Raises FinalError without a server."""
    from temporalio import activity  # noqa: PLC0415 -- takes long to import, and runs in memory have no server

    from perdure.temporal.hosts import hosts  # noqa: PLC0415 -- as above

    if not activity.in_activity():
        hint = "give params.members to a run in memory, a list of {id, labels}"
        raise FinalError("membersAgent: a run in memory has no hosts", hint=hint)
    up = await hosts(activity.client())
    return [{"id": host.id, "queue": host.queue, "labels": list(host.labels)} for host in up]
