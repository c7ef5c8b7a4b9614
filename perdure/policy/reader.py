"""Reads plain data of a policy: notes every mistake with its place, and reads on.

What is not said is refused, and so is every key that is not known: a policy with a typing error must not
allow more than its author meant.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final, cast

from perdure.policy.grant import AGENT, ANY, GRANT_KINDS, GRAPH, PURE, is_mapping

NAME: Final = re.compile(r"[A-Za-z_][\w.-]*")
_FORMS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "hosts": (re.compile(r"(\*\.)?[a-z0-9_:-]+(\.[a-z0-9_-]+)*"), "write api.example.com or '*.example.com'"),
    "private": (
        re.compile(r"@models|(\*\.)?[a-z0-9_:-]+(\.[a-z0-9_-]+)*"),
        "write '@models', api.example.com or '*.example.com'",
    ),
    "reads": (re.compile(r"\.|[^\s*/.][^\s*/]*(/[^\s*/.][^\s*/]*)*"), "write a folder such as data/in, or ."),
    "": (re.compile(r"[^\s*@][^\s*]*"), "write it without spaces and *; '*' alone stands for all"),
}
"""What names of each kind look like, with a hint; "" for all others."""

CHOICES: Final = (AGENT, GRAPH)
MAX_SHOWN_NAME_CHARS: Final = 60
"""Characters of a wrong name that a finding repeats."""


@dataclass(slots=True)
class Reader:
    """Notes what is wrong, and reads on: a check reports every problem."""

    findings: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    groups: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    def wrong(self, place: str, finding: str, hint: str) -> None:
        """Notes a mistake."""
        self.findings.append((place, finding, hint))

    def mapping(self, place: str, data: Any, keys: Collection[str] | None, hint: str) -> Mapping[str, Any]:
        """`data` if it is a mapping, with no keys but these; None allows any name."""
        if not is_mapping(data):
            self.wrong(place, f"{_shown(place)} is a mapping", hint)
            return {}
        for key in data:
            inner = inside(place, key)
            if keys is None:
                if not NAME.fullmatch(key):
                    self.wrong(
                        inner,
                        f"{quoted(key)} is not a name",
                        "begin with a letter; then letters, digits, _ . -",
                    )
            elif key not in keys:
                near = get_close_matches(key, keys, n=1)
                hint_of_key = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(keys)}"
                self.wrong(inner, f"{quoted(key)} is an unknown key", hint_of_key)
        return data

    def names(self, place: str, data: Any, kind: str) -> frozenset[str]:
        """A list of names of this kind; `@pure` and groups may be among agents."""
        hint = "write a list, such as [copyAgent]; [] for none, ['*'] for all"
        if not isinstance(data, list):
            self.wrong(place, f"{_shown(place)} is a list of names", hint)
            return frozenset()
        names: set[str] = set()
        for index, name in enumerate(cast("list[Any]", data)):
            names |= self._name(inside(place, index), name, kind)
        return frozenset(names)

    def _name(self, place: str, name: Any, kind: str) -> frozenset[str]:
        form, hint = _FORMS.get("reads" if kind == "writes" else kind, _FORMS[""])
        if not isinstance(name, str):
            self.wrong(place, f"a name is a string, not {quoted(name)}", "quote it")
        elif name == ANY or (kind == "agents" and name == PURE):
            return frozenset([name])
        elif kind == "agents" and name[:1] == "@":
            if name[1:] in self.groups:
                return self.groups[name[1:]]
            there = ", ".join(f"@{group}" for group in ("pure", *self.groups))
            self.wrong(place, f"{quoted(name)} is an unknown group", f"there are {there}")
        elif not form.fullmatch(name):
            self.wrong(place, f"{quoted(name)} cannot be one of {kind}", hint)
        else:
            return frozenset([name])
        return frozenset()

    def chosen(self, place: str, data: Any) -> frozenset[str]:
        """The list `dynamic`."""
        names = self.names(place, data, "dynamic")
        for name in sorted(names.difference(CHOICES, [ANY])):
            self.wrong(place, f"data may not choose {quoted(name)}", f"there are {', '.join(CHOICES)}")
        return names

    def members(self, place: str, data: Any, more: Collection[str] = ()) -> dict[str, frozenset[str]]:
        """The names for each kind that `data` mentions."""
        hint = "write a mapping, such as {agents: ['@pure']}"
        data = self.mapping(place, data, (*GRANT_KINDS, *more), hint)
        members: dict[str, frozenset[str]] = {}
        for kind in GRANT_KINDS:
            if kind in data:
                inner = inside(place, kind)
                read = self.chosen(inner, data[kind]) if kind == "dynamic" else None
                members[kind] = self.names(inner, data[kind], kind) if read is None else read
        return members


def inside(place: str, key: Any) -> str:
    """The place of a member."""
    return f"{place}.{key}" if place else str(key)


def _shown(place: str) -> str:
    return place.rpartition(".")[2] or "a policy"


def quoted(value: Any) -> str:
    """The value, shortened, for a message."""
    return repr(value)[:MAX_SHOWN_NAME_CHARS]
