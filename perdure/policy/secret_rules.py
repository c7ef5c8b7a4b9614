"""Secrets by name: which there are, where their values come from, and where they may go. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

from perdure.policy.grant import ANY
from perdure.policy.reader import Reader, inside, quoted

SECRET_MARK: Final = "secret:"
"""What a graph writes in front of the name of a secret, where its value is to be sent."""

SECRET_KEYS: Final = ("from", "to", "agents", "as")
_SOURCE: Final = re.compile(
    r"env:[A-Za-z_][A-Za-z0-9_]*|file:/\S+"
    r"|vault:[\w./-]+#[\w.-]+"
    r"|aws:[\w/+=.@:-]+(#[\w.-]+)?"
    r"|gcp:projects/[\w-]+/secrets/[\w-]+(/versions/\w+)?(#[\w.-]+)?"
    r"|azure:(https://[\w.-]+|http://127\.0\.0\.1:[0-9]+)/secrets/[\w-]+(/\w+)?(#[\w.-]+)?",
    re.ASCII,
)
_PLACE: Final = re.compile(r"https?://[a-z0-9_.-]+(:[0-9]+)?/([\w.~+@=,-]+/)*")
_DOTS: Final = re.compile(r"/\.{1,2}/")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRule:
    """One secret: its `source`, such as ``env:CRM_TOKEN``, and `form`, in which {} stands for the value.

    It is sent `to` URLs that begin so, and by these `agents`: without any, by all that come with Perdure.
    """

    source: str
    to: tuple[str, ...] = ()
    agents: frozenset[str] = frozenset()
    form: str = "{}"

    def is_for(self, agent: str) -> bool:
        """Whether the operator lists the agent, by name or by "*"."""
        return agent in self.agents or ANY in self.agents

    def goes_to(self, scheme: str, host: str, port: int, path: str) -> bool:
        """Whether the value may be sent to a URL of these parts; `path` as it is written in the request."""
        return any(_covers(place, scheme, host, port, path) for place in self.to)


def _covers(place: str, scheme: str, host: str, port: int, path: str) -> bool:
    parts = urlsplit(place)
    own_port = parts.port or (443 if parts.scheme == "https" else 80)
    if (parts.scheme, parts.hostname, own_port) != (scheme, host, port):
        return False
    if parts.path == "/":
        return True
    # What a server may read as a step up, or as another separator, leads out of the folder.
    is_plain = not re.search(r"%2e|%2f|%5c|\\|//|/\.", path, re.IGNORECASE)
    return is_plain and (path + "/" if path + "/" == parts.path else path).startswith(parts.path)


def read_secrets(reader: Reader, data: Any) -> Mapping[str, SecretRule]:
    """The secrets of a policy, by name; `reader` notes what is wrong."""
    hint = "write secrets: {NAME: {from: env:TOKEN, to: [https://api.example.com/]}}"
    return {
        str(name): _rule(reader, f"secrets.{name}", rule)
        for name, rule in reader.mapping("secrets", data, None, hint).items()
    }


def _rule(reader: Reader, place: str, data: Any) -> SecretRule:
    data = reader.mapping(place, data, SECRET_KEYS, "write a mapping with from and to")
    source, form = data.get("from"), data.get("as", "{}")
    if not isinstance(source, str) or not _SOURCE.fullmatch(source):
        finding = "a secret is read from env:NAME, file:/PATH, vault:PATH#KEY, aws:, gcp: or azure:"
        reader.wrong(inside(place, "from"), finding, "write from: env:NAME, and the value there")
        source = ""
    if not isinstance(form, str) or form.count("{}") != 1 or not form.isprintable():
        reader.wrong(inside(place, "as"), "{} stands for the value, once", "write as: 'Bearer {}'")
        form = "{}"
    agents = reader.names(inside(place, "agents"), data.get("agents", []), "agents")
    return SecretRule(source=source, to=_places(reader, place, data, agents), agents=agents, form=form)


def _places(reader: Reader, place: str, data: Mapping[str, Any], agents: frozenset[str]) -> tuple[str, ...]:
    urls, hint = data.get("to", []), "write to: [https://api.example.com/v1/]"
    if not isinstance(urls, list) or not (urls or agents):
        reader.wrong(inside(place, "to"), "`to` lists the URLs that the value may be sent to", hint)
        return ()
    places: list[str] = []
    for index, url in enumerate(cast("list[Any]", urls)):
        if isinstance(url, str) and _PLACE.fullmatch(url) and not _DOTS.search(url):
            places.append(url)
        else:
            finding = f"{quoted(url)} is not a URL that ends in a slash, without a query and a user"
            reader.wrong(inside(inside(place, "to"), index), finding, hint)
    return tuple(places)
