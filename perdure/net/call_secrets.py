"""Secrets by name: a graph says `secret:NAME`, and the transport writes the value into the request.

Why
    What a graph, an input or a result holds is in the history. So a graph names a secret, and its value is in
    one place only: the bytes that go out on the connection.

Invariants
    A value goes to the URLs that the operator lists for it, once redirects are decided, or nowhere. A name
    that is unknown, or not granted, is refused: the worker's own key never takes its place.
    Agents of Perdure never hold a value. An agent that the operator lists may ask for it.
    What a call that used a secret returns, streams, logs or fails with has *** in place of the value.

Rejected
    To put the values into the inputs of agents: they, their filters and their errors would have them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from perdure.engine.granting.authority import not_granted
from perdure.errors import AgentError, AgentTimeout, FinalError, NotGranted, PerdureError, TransientError
from perdure.graph.values import Value, is_dict, is_list
from perdure.net.failures import without_secrets
from perdure.policy.grant import Grant
from perdure.policy.secret_rules import SECRET_MARK, SecretRule
from perdure.settings.secret_sources import is_remote, read_secret

if TYPE_CHECKING:
    import httpx2

_REFERENCE: Final = re.compile(rf"([A-Za-z]+ +)?{SECRET_MARK}([A-Za-z_][\w.-]*)")
"""A whole header that names a secret, or that follows the name of a scheme, such as Bearer."""


def names_secret(text: object) -> bool:
    """Whether this is the reference to a secret."""
    return isinstance(text, str) and _REFERENCE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, eq=False)
class CallSecrets:
    """The secrets that a call of `agent` may use: those of `rules` that its `grant` allows."""

    agent: str = ""
    rules: Mapping[str, SecretRule] = field(default_factory=dict[str, SecretRule])
    grant: Grant = field(default_factory=Grant)
    _used: set[str] = field(default_factory=set[str], repr=False)
    _read: dict[str, str | PerdureError | OSError] = field(
        default_factory=dict[str, "str | PerdureError | OSError"], repr=False
    )

    @property
    def are_used(self) -> bool:
        """Whether the call has used one."""
        return bool(self._used)

    async def filled(
        self, headers: httpx2.Headers, scheme: str, host: str, port: int, path: str
    ) -> httpx2.Headers | list[tuple[str, str]]:
        """Headers as they are sent to a URL of these parts. Raises as `sent` does."""
        if not any(map(names_secret, headers.values())):
            return headers
        await self._fetch(headers)
        return [(name, self.sent(text, scheme, host, port, path)) for name, text in headers.multi_items()]

    async def _fetch(self, headers: httpx2.Headers) -> None:
        """Reads what is in vaults of the secrets that these headers name, in a thread.

        Raises FinalError, TransientError.
        """
        for text in headers.values():
            match = _REFERENCE.fullmatch(text)
            rule = None if match is None else self.rules.get(match[2])
            if rule is not None and is_remote(rule.source):
                await asyncio.to_thread(read_secret, rule.source)

    async def read_ahead(self) -> None:
        """Reads what the agent may ask for of secrets in vaults, in threads.

        For an async agent: `value` would hold up all other calls of the worker. What cannot be read fails
        when it is asked for.
        """
        rules = self.rules.items()
        remote = [(name, rule.source) for name, rule in rules if is_remote(rule.source) and self._gives(name)]
        reads = [asyncio.to_thread(read_secret, source) for _, source in remote]
        for (name, _), read in zip(remote, await asyncio.gather(*reads, return_exceptions=True), strict=True):
            if isinstance(read, str | PerdureError | OSError):
                self._read[name] = read
            else:
                raise read

    def _gives(self, name: str) -> bool:
        return self.rules[name].is_for(self.agent) and self.grant.allows("secrets", name)

    def sent(self, text: str, scheme: str, host: str, port: int, path: str) -> str:
        """A header as it is sent to a URL of these parts. Raises NotGranted; FinalError without a value."""
        match = _REFERENCE.fullmatch(text)
        if match is None:
            return text
        rule = self._rule(match[2])
        if not rule.goes_to(scheme, host, port, path):
            allowed = ", ".join(rule.to) or "none"
            finding = f"not granted: the secret {match[2]!r} for this URL at {host} (allowed: {allowed})"
            raise NotGranted(
                finding, hint=f"where that is meant, add it to secrets.{match[2]}.to {_IN_POLICY}"
            )
        value = self._value(match[2], rule)
        return match[1] + value if match[1] else rule.form.replace("{}", value)

    def value(self, name: str) -> str:
        """The value, for an agent that the operator lists. Raises as `sent` does."""
        rule = self._rule(name)
        if not rule.is_for(self.agent):
            finding = f"not granted: the value of the secret {name!r} for the agent {self.agent!r}"
            raise NotGranted(
                finding, hint=f"where that is meant, add it to secrets.{name}.agents {_IN_POLICY}"
            )
        return self._value(name, rule)

    def _rule(self, name: str) -> SecretRule:
        rule = self.rules.get(name)
        if rule is None:
            raise FinalError(f"there is no secret {name!r}", hint=f"list it as secrets.{name} {_IN_POLICY}")
        if not self.grant.allows("secrets", name):
            raise not_granted("secrets", name, self.grant.refusing("secrets", name))
        if rule.agents and not rule.is_for(self.agent):
            allowed = ", ".join(sorted(rule.agents))
            finding = f"not granted: the secret {name!r} for the agent {self.agent!r} (allowed: {allowed})"
            raise NotGranted(
                finding, hint=f"where that is meant, add it to secrets.{name}.agents {_IN_POLICY}"
            )
        return rule

    def _value(self, name: str, rule: SecretRule) -> str:
        try:
            value = self._read[name] if name in self._read else read_secret(rule.source)
            if isinstance(value, Exception):
                raise value
        except OSError as error:
            finding = f"the secret {name!r} cannot be read: {rule.source}: {error.strerror or error}"
            raise FinalError(finding, hint="give the worker its value") from None
        if not value or not value.isascii() or not value.isprintable():
            finding = (
                f"the secret {name!r} ({rule.source}) is empty, or has characters that no header may have"
            )
            raise FinalError(finding, hint="give the worker its value")
        self._used.add(value)
        return value

    def cleaned(self, value: Value) -> Value:
        """The value without those that the call has used."""
        if not self._used:
            return value
        if isinstance(value, str):
            return without_secrets(value, self._used)
        if is_dict(value):
            return {self.cleaned(key): self.cleaned(item) for key, item in value.items()}
        if is_list(value):
            return [self.cleaned(item) for item in value]
        return value

    def cleaned_error(self, error: PerdureError) -> PerdureError:
        """The same failure without the values."""
        if isinstance(error, AgentTimeout):
            return error
        text = without_secrets(str(error), self._used)
        match error:
            case TransientError():
                return TransientError(text, error.retry_after)
            case NotGranted():
                return NotGranted(text)
            case FinalError():
                return FinalError(text)
            case _:
                return AgentError(text)


_IN_POLICY: Final = "in the policy of the worker"

NO_SECRETS: Final = CallSecrets()
"""For calls without a policy that lists any."""
