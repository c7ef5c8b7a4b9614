"""A secret that must appear nowhere, a policy that names it, and services that say it again."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from perdure.agents.agent import AgentContext, agent
from perdure.errors import AgentError
from tests.support.servers import Answer, Seen, Server, json_answer, said

CANARY = "canary+7781/Quux&zebra"


def traces() -> list[str]:
    """The forms in which the canary is looked for."""
    data = CANARY.encode()
    coded = [base64.b64encode(bytes(before) + data).decode() for before in range(3)]
    inner = [text[4 : 4 + 4 * (len(data) // 4) - 4] for text in coded]
    return [CANARY, CANARY[::-1], CANARY.upper(), quote(CANARY, safe=""), data.hex(), *inner]


def traces_in(*places: bytes | str | Path) -> list[str]:
    """The forms of the canary in these strings, and in the files of these folders."""
    parts = [data for place in places for data in _bytes(place)]
    return [form for form in traces() if any(form.encode() in part for part in parts)]


def _bytes(place: bytes | str | Path) -> Iterable[bytes]:
    if isinstance(place, Path):
        yield from (path.read_bytes() for path in place.rglob("*") if path.is_file())
    else:
        yield place.encode() if isinstance(place, str) else place


def policy_with_canary(folder: Path, server: Server, **rule: Any) -> Path:
    """A policy file whose secret `crm` is the canary, to be sent to this server."""
    value = folder / "crm.secret"
    value.write_text(CANARY + "\n")
    crm = {"from": f"file:{value}", "as": "Bearer {}", "to": [f"{server.url}/"], **rule}
    path = folder / "policy.json"
    own = {"from": f"file:{value}", "agents": ["mine"]}
    path.write_text(json.dumps({"policy": 1, "secrets": {"crm": crm, "own": own}}))
    return path


def parrot(seen: Seen) -> Answer:
    """Says the credentials again: in an answer, in an error, in a stream."""
    sent = seen.headers.get("authorization", "").removeprefix("Bearer ")
    forms = [sent, sent[::-1], sent.upper(), quote(sent, safe=""), sent.encode().hex()]
    forms += [base64.b64encode(b"x" * shift + sent.encode()).decode() for shift in range(3)]
    if seen.path.endswith("/completions"):
        return said(*forms)
    if seen.path == "/moved":
        return Answer(status=302, headers={"Location": seen.query["to"]})
    return json_answer({"forms": forms, sent: 1}, 500 if seen.path == "/broken" else 200)


@agent("mine")
async def mine(inputs: Any, context: AgentContext) -> Any:
    """Does all that it should not with a secret."""
    value = context.secret("own")
    context.log(f"the value is {value}")
    await context.emit(value)
    if inputs.get("fail"):
        try:
            raise ValueError(value)
        except ValueError as error:
            raise AgentError(f"it was {value}") from error
    return {"value": value, "forms": [value.upper(), {value: value.encode().hex()}]}
