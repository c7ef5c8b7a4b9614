"""pathUtilsAgent: arithmetic on POSIX paths. It never looks at a file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.schema import array, fields, one_of, text
from perdure.agents.shipped.objects import kind
from perdure.errors import AgentError
from perdure.graph.values import UNDEFINED, Value, is_list, js_truthy

_NAME = "pathUtilsAgent"


@agent(
    _NAME,
    pure=True,
    description="Joins, resolves and normalizes paths",
    category="fs",
    inputs=fields(
        dirs=array("what to join or resolve, from the left", items=text()),
        path=text("what to normalize"),
    ),
    params=fields("method", method=one_of("resolve", "join", "normalize"), dirs=array(), path=text()),
    output=fields(path=text()),
    samples=[
        Sample(
            inputs={"dirs": ["/srv", "site", "../img"]},
            params={"method": "resolve"},
            result={"path": "/srv/img"},
        ),
        Sample(
            inputs={"dirs": ["site", "", "img/"]}, params={"method": "join"}, result={"path": "site/img/"}
        ),
        Sample(inputs={"path": "a//b/../c"}, params={"method": "normalize"}, result={"path": "a/c"}),
    ],
)
def path_utils(inputs: dict[str, Value], params: dict[str, Value], context: AgentContext) -> dict[str, Value]:
    """The path; a relative one is resolved from the folder that file agents may touch."""
    method = params.get("method", UNDEFINED)
    if not js_truthy(method):
        raise AgentError(f"{_NAME}: params.method is UNDEFINED!")
    options = {**params, **inputs}
    if method == "normalize":
        path = options.get("path", UNDEFINED)
        if not js_truthy(path):
            raise AgentError(f"{_NAME}: path is UNDEFINED!")
        return {"path": _normalized(_part(path))}
    if method not in ("resolve", "join"):
        raise AgentError(f"{_NAME} no file")
    parts: Any = options.get("dirs", UNDEFINED)
    if not is_list(parts):
        raise AgentError(f"{_NAME}: dir is not Array!")
    if method == "join":
        return {"path": _normalized("/".join(part for part in map(_part, parts) if part))}
    return {"path": _resolved(parts, context.settings.file_root.absolute().as_posix())}


def _part(value: Value) -> str:
    if isinstance(value, str):
        return value
    raise AgentError(f"{_NAME}: a path is {kind(value)}, not a string")


def _resolved(parts: list[Value], base: str) -> str:
    """The absolute path that following `parts` from `base` leads to."""
    used: list[str] = []
    for value in reversed([base, *parts]):
        used.append(_part(value))
        if used[-1].startswith("/"):
            break
    return "/" + "/".join(_walked("/".join(reversed(used)).split("/"), absolute=True))


def _normalized(path: str) -> str:
    """The path without `.`, `..` where it can be taken back, and doubled slashes."""
    if not path:
        return "."
    absolute = path.startswith("/")
    short = "/".join(_walked(path.split("/"), absolute=absolute)) or ("" if absolute else ".")
    slash = "/" if path.endswith("/") and short else ""
    return ("/" if absolute else "") + short + slash


def _walked(names: Iterable[str], *, absolute: bool) -> list[str]:
    walked: list[str] = []
    for name in names:
        if name == ".." and walked and walked[-1] != "..":
            walked.pop()
        elif name not in ("", ".", "..") or (name == ".." and not absolute):
            walked.append(name)
    return walked
