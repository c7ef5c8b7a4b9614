"""Reads grants and policies from plain data: one grammar for profiles, for `allow` and for `metadata.needs`.

What is not said is refused, and so is every key that is not known: a policy with a typing error must not
allow more than its author meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from perdure.errors import Problem
from perdure.policy.approvals import ASK, REFUSE, Approvers, asks_on_violation, read_approvers
from perdure.policy.budgets import BUDGET, Budget, read_budget
from perdure.policy.grant import ANY, NOTHING, PURE, Grant, is_mapping
from perdure.policy.label_rules import read_labels, read_tags
from perdure.policy.labels import AgentLabels
from perdure.policy.reader import NAME, Reader, inside, quoted
from perdure.policy.secret_rules import SecretRule, read_secrets

POLICY_FORMAT: Final = 1
"""The number of the form of policy files."""

POLICY_KEYS: Final = (
    "policy",
    "profile",
    "principals",
    "groups",
    "profiles",
    "secrets",
    "agents",
    "approvers",
    "tags",
)
_FROM: Final = "from"
_VIOLATION: Final = "violation"
_IMPLICIT: Final = "implicit"
IMPLICIT_FLOWS: Final = ("ignore", "strict")
"""Whether labels follow conditions: the words of `implicit` in a profile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The policy of a worker: its runs get `profile`, one of `profiles`, and may use `secrets`.

    `principals` have profiles of their own, by name, or by the beginning of a name and "*"; the first that
    fits counts. Where none fits and there is no `profile`, runs may do nothing.
    `agents` are labels of agents, for those that do not declare the right ones, and `tags` say where data of
    each may go. In the profiles of `asking`, `approvers` decide on what is refused; in `strict` ones labels
    follow conditions. `budgets` are those of profiles that have one.
    `digest` is the SHA-256 of the text, in hexadecimal digits. Without profiles, `profile` is "", and runs
    may do what they may without a policy.
    """

    profile: str
    profiles: Mapping[str, Grant]
    digest: str = ""
    secrets: Mapping[str, SecretRule] = field(default_factory=dict[str, SecretRule])
    agents: Mapping[str, AgentLabels] = field(default_factory=dict[str, AgentLabels])
    tags: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    asking: frozenset[str] = frozenset()
    strict: frozenset[str] = frozenset()
    budgets: Mapping[str, Budget] = field(default_factory=dict[str, Budget])
    approvers: Approvers = field(default_factory=Approvers)
    principals: Mapping[str, str] = field(default_factory=dict[str, str])

    def for_principal(self, principal: str) -> Policy:
        """The policy for runs that this principal has started, "" for those that none has."""
        for name, profile in self.principals.items():
            is_meant = principal.startswith(name[:-1]) if name.endswith(ANY) else principal == name
            if principal and is_meant:
                return replace(self, profile=profile)
        return self

    @property
    def asks(self) -> Approvers | None:
        """Who decides on what the runs of the worker are refused, None for no one."""
        return self.approvers if self.profile in self.asking else None

    @property
    def budget(self) -> Budget | None:
        """What the calls of a run may use up, None for anything."""
        return self.budgets.get(self.profile)

    @property
    def grant(self) -> Grant | None:
        """What runs of the worker may do, None for anything."""
        if self.profile:
            return self.profiles[self.profile]
        return NOTHING if self.principals else None


def grant_problems(place: str, data: Any) -> Iterator[Problem]:
    """What is wrong with the grant `data` of a graph, at `place`."""
    reader = Reader()
    reader.members(place, data, (BUDGET,))
    if is_mapping(data) and BUDGET in data:
        read_budget(reader, inside(place, BUDGET), data[BUDGET])
    for where, finding, hint in reader.findings:
        yield Problem("allow", where, finding, hint)


def grant_of(data: Any) -> Grant | None:
    """The grant that a graph names, None where it names none, or a budget alone.

    What is wrong with it allows nothing.
    """
    if data is None or (is_mapping(data) and set(data) == {BUDGET}):
        return None
    reader = Reader()
    members = reader.members("", data, (BUDGET,))
    return NOTHING if reader.findings else Grant.of(**members)


def budget_of(data: Any) -> Budget | None:
    """The budget that a graph names, None where it names none."""
    if not is_mapping(data) or BUDGET not in data:
        return None
    return read_budget(Reader(), BUDGET, data[BUDGET])


def policy_of(data: Any, digest: str = "") -> tuple[Policy | None, list[Problem]]:
    """The policy, and every problem of it; None if there is one."""
    reader = Reader()
    data = reader.mapping("", data, POLICY_KEYS, "write policy: 1, profile: NAME and profiles: at the top")
    if data and data.get("policy") != POLICY_FORMAT:
        reader.wrong("policy", "the form of this policy is not known here", f"write policy: {POLICY_FORMAT}")
    _read_groups(reader, data.get("groups", {}))
    rest = _Rest()
    profiles = _profiles(reader, data.get("profiles", {}), rest)
    approvers = read_approvers(reader, data.get("approvers", {}))
    rules = read_secrets(reader, data.get("secrets", {}))
    labels = read_labels(reader, data.get("agents", {}))
    principals = _principals(reader, data.get("principals", {}), profiles)
    tags = read_tags(reader, data.get("tags", {}))
    has_only_secrets = bool(rules or labels) and not {"profile", "profiles"} & set(data)
    name = _profile(reader, data, profiles, is_needed=not (has_only_secrets or principals))
    if reader.findings:
        return None, [Problem("policy", place, finding, hint) for place, finding, hint in reader.findings]
    policy = Policy(
        profile=name,
        profiles=profiles,
        digest=digest,
        secrets=rules,
        agents=labels,
        tags=tags,
        asking=frozenset(rest.asking),
        strict=frozenset(rest.strict),
        budgets=rest.budgets,
        approvers=approvers,
        principals=principals,
    )
    return policy, []


def _profile(
    reader: Reader, data: Mapping[str, Any], profiles: Mapping[str, Grant], *, is_needed: bool
) -> str:
    """The profile of the runs that no principal has started, "" for none."""
    name = data.get("profile", None if is_needed else "")
    if isinstance(name, str) and (name in profiles or not (name or is_needed)):
        return name
    if not reader.findings:
        there = (
            f"there are {', '.join(profiles)}" if profiles else "write profiles: {NAME: {agents: ['@pure']}}"
        )
        reader.wrong("profile", f"profile names the profile of all runs, and {quoted(name)} is none", there)
    return ""


def _principals(reader: Reader, data: Any, profiles: Mapping[str, Grant]) -> dict[str, str]:
    """The profiles of principals, in their order."""
    known: dict[str, str] = {}
    if not is_mapping(data):
        reader.wrong("principals", "principals is a mapping", "write principals: {NAME: PROFILE}")
        return known
    for name, profile in data.items():
        place = inside("principals", name)
        if not NAME.fullmatch(name.removesuffix(ANY) or "a"):
            hint = "begin with a letter; then letters, digits, _ . -, and perhaps a * at the end"
            reader.wrong(place, f"{quoted(name)} is not the name of a principal", hint)
        elif not isinstance(profile, str) or profile not in profiles:
            there = ", ".join(profiles) or "none"
            reader.wrong(place, f"{quoted(profile)} is not a profile", f"there are {there}")
        else:
            known[name] = profile
    return known


def _read_groups(reader: Reader, data: Any) -> None:
    for group, names in reader.mapping("groups", data, None, "write groups: {NAME: [agent]}").items():
        if group == PURE[1:]:
            reader.wrong(f"groups.{group}", f"{PURE} has its meaning already", "choose another name")
        reader.groups[str(group)] = reader.names(f"groups.{group}", names, "agents")


@dataclass(slots=True)
class _Rest:
    """What profiles say besides their grants, by their names."""

    asking: set[str] = field(default_factory=set[str])
    strict: set[str] = field(default_factory=set[str])
    budgets: dict[str, Budget] = field(default_factory=dict[str, Budget])

    def read(self, reader: Reader, place: str, name: str, said: Mapping[str, Any], base: str | None) -> None:
        """Reads these keys of a profile, or takes those of the one that it comes from."""
        if asks_on_violation(reader, place, said.get(_VIOLATION, ASK if base in self.asking else REFUSE)):
            self.asking.add(name)
        implicit = said.get(_IMPLICIT, IMPLICIT_FLOWS[base in self.strict])
        if implicit not in IMPLICIT_FLOWS:
            there = f"there are {', '.join(IMPLICIT_FLOWS)}"
            reader.wrong(inside(place, _IMPLICIT), f"{quoted(implicit)} is not how conditions count", there)
        elif implicit == IMPLICIT_FLOWS[1]:
            self.strict.add(name)
        if BUDGET in said:
            self.budgets[name] = read_budget(reader, inside(place, BUDGET), said[BUDGET])
        elif base in self.budgets:
            self.budgets[name] = self.budgets[base]


def _profiles(reader: Reader, data: Any, rest: _Rest) -> dict[str, Grant]:
    """The profiles; one that comes `from` an earlier one has its keys, under its own."""
    known: dict[str, dict[str, frozenset[str]]] = {}
    for name, profile in reader.mapping(
        "profiles", data, None, "write profiles: {NAME: {agents: []}}"
    ).items():
        place = f"profiles.{name}"
        own = reader.members(place, profile, (_FROM, _VIOLATION, _IMPLICIT, BUDGET))
        said: Mapping[str, Any] = profile if is_mapping(profile) else {}
        base = said.get(_FROM)
        if base is not None and (not isinstance(base, str) or base not in known):
            there = ", ".join(known) or "none"
            reader.wrong(
                f"{place}.{_FROM}",
                f"{quoted(base)} is not a profile above this one",
                f"there are {there}",
            )
            base = None
        rest.read(reader, place, str(name), said, base)
        known[str(name)] = {**(known[base] if base is not None else {}), **own}
    return {name: Grant.of(**members) for name, members in known.items()}
