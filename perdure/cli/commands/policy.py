"""The policy of a worker: which agents, task queues, hosts, files and secrets its runs may use.

check reads a policy file and reports every problem with its line. show prints what each profile allows, its
budget, and who decides on what it refuses. explain lists the nodes of a graph with what the policy says of
each: allowed, refused, left to a person, or decided only when data has arrived; without a policy, by the
rules that hold then. FILE is by default the one that PERDURE_POLICY names.

A policy with one profile:

  policy: 1
  profile: guests
  profiles:
    guests:
      agents: ["@pure", openAIAgent, fetchAgent]     "@pure" compute, and have no effect
      hosts: [api.example.com]                       what is not said is refused
      private: ["@models"]                           where data of files may go
      budget: {calls: 500, money: 2.5}               what its calls may use up
      violation: ask                                 a person decides on what is refused
  approvers: {who: [ada], expires: 24h}

Exit codes: 0 all is well, 2 the policy is wrong, or it refuses a node of the graph.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from perdure.agents.label_facts import authority_of
from perdure.cli import output
from perdure.cli.inputs import graphs
from perdure.engine.granting.verdicts import Judgement, judged
from perdure.errors import UsageError
from perdure.graph.check import modernized
from perdure.policy.approvals import Approvers
from perdure.policy.grant import GRANT_KINDS, Grant
from perdure.policy.parse import Policy
from perdure.settings import Settings
from perdure.settings.policy_file import read_policy

EXAMPLES = """\
examples:
  perdure policy check policy.yaml                      before a worker is started with it
  perdure policy show                                   the one of PERDURE_POLICY
  perdure policy show policy.yaml --json                for a program that compares two
  perdure policy explain graph.yaml --policy policy.yaml
  perdure policy explain graph.yaml                     without a policy, if none is set
  perdure policy explain graph.yaml --profile untrusted --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("what", choices=("check", "show", "explain"), help="what to do")
    parser.add_argument("file", nargs="?", metavar="FILE", help="the policy; for explain, the graph")
    parser.add_argument("--policy", metavar="FILE", help="explain: the policy (PERDURE_POLICY)")
    parser.add_argument("--profile", metavar="NAME", help="explain: another profile than that of runs")
    graphs.agents_option(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(args: argparse.Namespace) -> int:
    """Reads the policy, and says what it is asked."""
    if args.what == "explain":
        return _explain(args)
    if args.policy or args.profile:
        raise UsageError("--policy and --profile are for perdure policy explain")
    policy = read_policy(_path(args.file))
    facts = _facts(policy)
    if args.json:
        output.result(output.json_text(facts))
    elif args.what == "check":
        gets = f"runs get the profile {policy.profile}" if policy.profile else "runs may do anything"
        if policy.principals:
            names, others = ", ".join(policy.principals), policy.profile or "none"
            gets = f"runs of {names} get their profiles, others {others}"
        output.result(f"{args.file or _path(None)}: no problems; {gets}")
    else:
        output.result("\n".join(_lines(policy)))
    return 0


def _path(text: str | None) -> Path:
    path = Settings.from_env().policy if text is None else Path(text)
    if path is None:
        raise UsageError("no policy is named", hint="name a file, or set PERDURE_POLICY to one")
    return path


def _facts(policy: Policy) -> dict[str, Any]:
    profiles = {name: allowed(grant) for name, grant in policy.profiles.items()}
    secrets = {
        name: {"from": rule.source, "to": list(rule.to), "agents": sorted(rule.agents)}
        for name, rule in policy.secrets.items()
    }
    facts: dict[str, Any] = {
        "profile": policy.profile,
        "sha256": policy.digest,
        "profiles": profiles,
        "secrets": secrets,
    }
    if policy.strict:
        facts["strict"] = sorted(policy.strict)
    if policy.budgets:
        facts["budgets"] = {name: budget.written() for name, budget in policy.budgets.items()}
    if policy.asking:
        facts |= {"asking": sorted(policy.asking), "approvers": policy.approvers.written()}
    if policy.principals:
        facts["principals"] = dict(policy.principals)
    return facts


def allowed(grant: Grant) -> dict[str, list[str]]:
    """The names that a profile allows, for each kind; "*" for all."""
    return {kind: sorted(next(iter(getattr(grant, kind)), {"*"})) for kind in GRANT_KINDS}


def _lines(policy: Policy) -> list[str]:
    lines: list[str] = []
    for name, grant in policy.profiles.items():
        lines.append(f"{name}{' (the profile of runs)' if name == policy.profile else ''}")
        lines += [f"  {kind:<8} {', '.join(names) or 'none'}" for kind, names in allowed(grant).items()]
        if name in policy.strict:
            lines.append("  implicit strict")
        if name in policy.budgets:
            lines.append(f"  budget   {policy.budgets[name].text()}")
        if name in policy.asking:
            lines.append(f"  refused  asks {_people(policy.approvers)}")
    lines += [f"principal {name}: {profile}" for name, profile in policy.principals.items()]
    for name, rule in policy.secrets.items():
        places = [*rule.to, *(f"the agent {agent}" for agent in sorted(rule.agents))]
        lines.append(f"secret {name} ({rule.source}) for {', '.join(places)}")
    return [*lines, f"sha256 {policy.digest}"]


def _people(approvers: Approvers) -> str:
    """Who decides on what is refused, in words."""
    who = ", ".join(approvers.who) or "anybody"
    count = f"{approvers.quorum} of " if approvers.quorum > 1 else ""
    return f"{count}{who}, for {approvers.expires_ms / 3_600_000:g} hours"


def _explain(args: argparse.Namespace) -> int:
    if args.file is None:
        raise UsageError("perdure policy explain takes a graph", hint="perdure policy explain graph.yaml")
    settings = Settings.from_env()
    path = Path(args.policy) if args.policy else settings.policy
    policy = None if path is None else read_policy(path)
    profile = args.profile or ("" if policy is None else policy.profile)
    if profile and (policy is None or profile not in policy.profiles):
        there = "there is no policy" if policy is None else f"there are {', '.join(policy.profiles)}"
        raise UsageError(f"there is no profile {profile!r}", hint=there)
    if policy is not None:
        policy = replace(policy, profile=profile)
    document = modernized(graphs.read(args.file).data)
    by_name = graphs.agents_of(args.agents).by_name
    rows = judged(document, authority_of(by_name, settings, policy))
    if args.json:
        nodes = [
            {"node": row.place, "agent": row.agent, "verdict": row.verdict, "why": row.why} for row in rows
        ]
        output.result(output.json_text({"profile": profile, "nodes": nodes}))
    else:
        output.result(output.plain("\n".join(map(_row, rows))))
    return 2 if any(row.verdict == "refused" for row in rows) else 0


def _row(row: Judgement) -> str:
    marks = {"allowed": "✓", "asks": "?", "refused": "✗", "at run time": "?"}
    verdict = "a person decides" if row.verdict == "asks" else row.verdict
    return f"{marks[row.verdict]} {row.place} ({row.agent}): {verdict}" + (f": {row.why}" if row.why else "")
