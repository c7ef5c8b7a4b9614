"""Reads grants and policies from plain data: one grammar for profiles, for `allow` and for `metadata.needs`.

What is not said is refused, and so is every key that is not known: a policy with a typing error must not
allow more than its author meant.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final, cast

from perdure.errors import Problem
from perdure.policy.grant import AGENT, ANY, GRANT_KINDS, GRAPH, NOTHING, PURE, Grant, is_mapping

POLICY_FORMAT: Final = 1
"""The number of the form of policy files."""

POLICY_KEYS: Final = ("policy", "profile", "groups", "profiles")
NAME: Final = re.compile(r"[A-Za-z_][\w.-]*")
_FORMS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "hosts": (re.compile(r"(\*\.)?[a-z0-9_:-]+(\.[a-z0-9_-]+)*"), "write api.example.com or '*.example.com'"),
    "reads": (re.compile(r"\.|[^\s*/.][^\s*/]*(/[^\s*/.][^\s*/]*)*"), "write a folder such as data/in, or ."),
    "": (re.compile(r"[^\s*@][^\s*]*"), "write it without spaces and *; '*' alone stands for all"),
}
"""What names of each kind look like, with a hint; "" for all others."""

CHOICES: Final = (AGENT, GRAPH)
_FROM: Final = "from"

MAX_SHOWN_NAME_CHARS: Final = 60
"""Characters of a wrong name that a finding repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The policy of a worker: its runs get `profile`, one of `profiles`.

    `digest` is the SHA-256 of the text, in hexadecimal digits.
    """

    profile: str
    profiles: Mapping[str, Grant]
    digest: str = ""

    @property
    def grant(self) -> Grant:
        """What runs of the worker may do."""
        return self.profiles[self.profile]


@dataclass(slots=True)
class _Reader:
    """Notes what is wrong, and reads on: a check reports every problem."""

    findings: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    groups: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    def wrong(self, place: str, finding: str, hint: str) -> None:
        self.findings.append((place, finding, hint))

    def mapping(self, place: str, data: Any, keys: Collection[str] | None, hint: str) -> Mapping[str, Any]:
        """`data` if it is a mapping, with no keys but these; None allows any name."""
        if not is_mapping(data):
            self.wrong(place, f"{_shown(place)} is a mapping", hint)
            return {}
        for key in data:
            inner = _inside(place, key)
            if keys is None:
                if not NAME.fullmatch(key):
                    self.wrong(
                        inner,
                        f"{_quoted(key)} is not a name",
                        "begin with a letter; then letters, digits, _ . -",
                    )
            elif key not in keys:
                near = get_close_matches(key, keys, n=1)
                hint_of_key = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(keys)}"
                self.wrong(inner, f"{_quoted(key)} is an unknown key", hint_of_key)
        return data

    def names(self, place: str, data: Any, kind: str) -> frozenset[str]:
        """A list of names of this kind; `@pure` and groups may be among agents."""
        hint = "write a list, such as [copyAgent]; [] for none, ['*'] for all"
        if not isinstance(data, list):
            self.wrong(place, f"{_shown(place)} is a list of names", hint)
            return frozenset()
        names: set[str] = set()
        for index, name in enumerate(cast("list[Any]", data)):
            names |= self._name(_inside(place, index), name, kind)
        return frozenset(names)

    def _name(self, place: str, name: Any, kind: str) -> frozenset[str]:
        form, hint = _FORMS.get("reads" if kind == "writes" else kind, _FORMS[""])
        if not isinstance(name, str):
            self.wrong(place, f"a name is a string, not {_quoted(name)}", "quote it")
        elif name == ANY or (kind == "agents" and name == PURE):
            return frozenset([name])
        elif kind == "agents" and name[:1] == "@":
            if name[1:] in self.groups:
                return self.groups[name[1:]]
            there = ", ".join(f"@{group}" for group in ("pure", *self.groups))
            self.wrong(place, f"{_quoted(name)} is an unknown group", f"there are {there}")
        elif not form.fullmatch(name):
            self.wrong(place, f"{_quoted(name)} cannot be one of {kind}", hint)
        else:
            return frozenset([name])
        return frozenset()

    def chosen(self, place: str, data: Any) -> frozenset[str]:
        """The list `dynamic`."""
        names = self.names(place, data, "dynamic")
        for name in sorted(names.difference(CHOICES, [ANY])):
            self.wrong(place, f"data may not choose {_quoted(name)}", f"there are {', '.join(CHOICES)}")
        return names

    def members(self, place: str, data: Any, more: Collection[str] = ()) -> dict[str, frozenset[str]]:
        """The names for each kind that `data` mentions."""
        hint = "write a mapping, such as {agents: ['@pure']}"
        data = self.mapping(place, data, (*GRANT_KINDS, *more), hint)
        members: dict[str, frozenset[str]] = {}
        for kind in GRANT_KINDS:
            if kind in data:
                inner = _inside(place, kind)
                read = self.chosen(inner, data[kind]) if kind == "dynamic" else None
                members[kind] = self.names(inner, data[kind], kind) if read is None else read
        return members


def _inside(place: str, key: Any) -> str:
    return f"{place}.{key}" if place else str(key)


def _shown(place: str) -> str:
    return place.rpartition(".")[2] or "a policy"


def _quoted(value: Any) -> str:
    return repr(value)[:MAX_SHOWN_NAME_CHARS]


def grant_problems(place: str, data: Any) -> Iterator[Problem]:
    """What is wrong with the grant `data` of a graph, at `place`."""
    reader = _Reader()
    reader.members(place, data)
    for where, finding, hint in reader.findings:
        yield Problem("allow", where, finding, hint)


def grant_of(data: Any) -> Grant | None:
    """The grant that a graph names, None where it names none. What is wrong with it allows nothing."""
    if data is None:
        return None
    reader = _Reader()
    members = reader.members("", data)
    return NOTHING if reader.findings else Grant.of(**members)


def policy_of(data: Any, digest: str = "") -> tuple[Policy | None, list[Problem]]:
    """The policy, and every problem of it; None if there is one."""
    reader = _Reader()
    data = reader.mapping("", data, POLICY_KEYS, "write policy: 1, profile: NAME and profiles: at the top")
    if data and data.get("policy") != POLICY_FORMAT:
        reader.wrong("policy", "the form of this policy is not known here", f"write policy: {POLICY_FORMAT}")
    _read_groups(reader, data.get("groups", {}))
    profiles = _profiles(reader, data.get("profiles", {}))
    name = data.get("profile")
    if not reader.findings and (not isinstance(name, str) or name not in profiles):
        there = (
            f"there are {', '.join(profiles)}" if profiles else "write profiles: {NAME: {agents: ['@pure']}}"
        )
        reader.wrong("profile", f"profile names the profile of all runs, and {_quoted(name)} is none", there)
    if reader.findings or not isinstance(name, str):
        return None, [Problem("policy", place, finding, hint) for place, finding, hint in reader.findings]
    return Policy(profile=name, profiles=profiles, digest=digest), []


def _read_groups(reader: _Reader, data: Any) -> None:
    for group, names in reader.mapping("groups", data, None, "write groups: {NAME: [agent]}").items():
        if group == PURE[1:]:
            reader.wrong(f"groups.{group}", f"{PURE} has its meaning already", "choose another name")
        reader.groups[str(group)] = reader.names(f"groups.{group}", names, "agents")


def _profiles(reader: _Reader, data: Any) -> dict[str, Grant]:
    """The profiles; one that comes `from` an earlier one has its keys, under its own."""
    known: dict[str, dict[str, frozenset[str]]] = {}
    for name, profile in reader.mapping(
        "profiles", data, None, "write profiles: {NAME: {agents: []}}"
    ).items():
        place = f"profiles.{name}"
        own = reader.members(place, profile, (_FROM,))
        base = profile.get(_FROM) if is_mapping(profile) else None
        if base is not None and (not isinstance(base, str) or base not in known):
            there = ", ".join(known) or "none"
            reader.wrong(
                f"{place}.{_FROM}",
                f"{_quoted(base)} is not a profile above this one",
                f"there are {there}",
            )
            base = None
        known[str(name)] = {**(known[base] if base is not None else {}), **own}
    return {name: Grant.of(**members) for name, members in known.items()}
