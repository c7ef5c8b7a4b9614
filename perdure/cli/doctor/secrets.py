"""What `perdure doctor` says of the secrets of the policy: whether each can be read. It shows no value."""

from __future__ import annotations

from perdure.cli.doctor.framework import Finding, failed, fine
from perdure.errors import GraphError, PerdureError
from perdure.settings import Settings
from perdure.settings.policy_file import read_policy
from perdure.settings.secret_sources import read_secret


def secrets(settings: Settings) -> list[Finding]:
    """One finding for all that can be read, and one for each that cannot."""
    if settings.policy is None:
        return []
    try:
        rules = read_policy(settings.policy).secrets
    except GraphError as error:
        return [failed("policy", str(error).partition("\n")[0], "perdure policy check")]
    readable: list[str] = []
    findings: list[Finding] = []
    for name, rule in rules.items():
        try:
            read_secret(rule.source)
        except OSError as error:
            finding = f"{name} cannot be read: {rule.source}: {error.strerror or error}"
            findings.append(failed("secrets", finding, "give the worker its value"))
        except PerdureError as error:
            findings.append(failed("secrets", f"{name} cannot be read: {error.finding}", error.hint))
        else:
            readable.append(name)
    return [fine("secrets", f"readable: {', '.join(readable)}"), *findings] if readable else findings
