"""Values of secrets from vaults: those of HashiCorp, AWS, Google and Azure.

Each is one request to the documented HTTP interface, with the credentials that its own tools use: those in
`environment`, or of the service of the machine that hands them out. A value is kept for KEPT_VALUE_S seconds,
so that a vault that is away for a moment stops no call; what cannot be read is not kept.

Rejected: the client libraries of the vaults. Four of them bring some thirty packages, for one request each.

Messages name the place and the status, and never a value, a token or what the vault has answered.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

from perdure.errors import FinalError, TransientError
from perdure.policy.grant import is_mapping

KEPT_VALUE_S: Final = 300.0
VAULT_TIMEOUT_S: Final = 5.0
MAX_KEPT_VALUE_COUNT: Final = 1_000

AWS_SERVICE: Final = "secretsmanager"
_METADATA: Final = (
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"
)
_IMDS: Final = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01"

Environment = Mapping[str, str]


@dataclass(slots=True)
class VaultReader:
    """Reads from vaults, and keeps values for a while. Any thread may ask."""

    clock: Callable[[], float] = time.monotonic
    _kept: dict[str, tuple[float, str]] = field(default_factory=dict[str, tuple[float, str]], repr=False)

    def read(self, kind: str, place: str, environment: Environment) -> str:
        """The value at this place. Raises FinalError, TransientError where the vault does not answer."""
        source = f"{kind}:{place}"
        kept = self._kept.get(source)
        if kept is not None and self.clock() - kept[0] < KEPT_VALUE_S:
            return kept[1]
        name, _, member = place.partition("#")
        value = _member(source, VAULTS[kind](source, name, environment), member)
        if len(self._kept) >= MAX_KEPT_VALUE_COUNT:
            self._kept.clear()
        self._kept[source] = self.clock(), value
        return value


def _member(source: str, value: Any, member: str) -> str:
    """The member of a value that is an object, or a string of JSON; the value itself without one."""
    if member:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                value = None
        value = value.get(member) if is_mapping(value) else None
    if not isinstance(value, str) or not value:
        raise FinalError(f"{source}: there is no such string", hint="write the name of a member behind #")
    return value


def _vault(source: str, name: str, environment: Environment) -> Any:
    """KV of version 2, whose path has data/ in it, or of version 1."""
    address = _needed(source, environment, "VAULT_ADDR").rstrip("/")
    headers = {"X-Vault-Token": _needed(source, environment, "VAULT_TOKEN")}
    if environment.get("VAULT_NAMESPACE"):
        headers["X-Vault-Namespace"] = environment["VAULT_NAMESPACE"]
    data = _asked(source, "GET", f"{address}/v1/{quote(name)}", headers).get("data")
    inner = data.get("data") if is_mapping(data) else None
    return inner if is_mapping(inner) else data


def _aws(source: str, name: str, environment: Environment) -> Any:
    region = environment.get("AWS_REGION") or _needed(source, environment, "AWS_DEFAULT_REGION")
    url = (
        environment.get("AWS_ENDPOINT_URL_SECRETS_MANAGER")
        or f"https://{AWS_SERVICE}.{region}.amazonaws.com/"
    )
    key = (
        _needed(source, environment, "AWS_ACCESS_KEY_ID"),
        _needed(source, environment, "AWS_SECRET_ACCESS_KEY"),
    )
    body = json.dumps({"SecretId": name}).encode()
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"{AWS_SERVICE}.GetSecretValue"}
    if environment.get("AWS_SESSION_TOKEN"):
        headers["x-amz-security-token"] = environment["AWS_SESSION_TOKEN"]
    signed = aws_signature("POST", url, headers, body, key, (region, AWS_SERVICE), datetime.now(UTC))
    return _asked(source, "POST", url, signed, body).get("SecretString")


def aws_signature(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    key: tuple[str, str],
    place: tuple[str, str],
    now: datetime,
) -> dict[str, str]:
    """The headers, signed by version 4; `key` is an id and its secret, `place` region and service."""
    parts, stamp = urlsplit(url), now.strftime("%Y%m%dT%H%M%SZ")
    sent = {**headers, "host": parts.netloc, "x-amz-date": stamp}
    names = ";".join(sorted(sent))
    lines = [f"{name}:{sent[name]}" for name in sorted(sent)]
    digest = hashlib.sha256(body).hexdigest()
    request = "\n".join([method, parts.path or "/", parts.query, *lines, "", names, digest])
    scope = "/".join((stamp[:8], *place, "aws4_request"))
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    derived = f"AWS4{key[1]}".encode()
    for part in (stamp[:8], *place, "aws4_request"):
        derived = hmac.digest(derived, part.encode(), "sha256")
    signature = hmac.new(derived, text.encode(), hashlib.sha256).hexdigest()
    said = f"AWS4-HMAC-SHA256 Credential={key[0]}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**sent, "authorization": said}


def _gcp(source: str, name: str, environment: Environment) -> Any:
    base = environment.get(
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", "https://secretmanager.googleapis.com/"
    )
    token = environment.get("GOOGLE_OAUTH_ACCESS_TOKEN")
    if not token:
        token = _asked(source, "GET", _METADATA, {"Metadata-Flavor": "Google"}).get("access_token")
    path = name if "/versions/" in name else f"{name}/versions/latest"
    answer = _asked(source, "GET", f"{base.rstrip('/')}/v1/{quote(path)}:access", _bearer(token))
    try:
        return base64.b64decode(answer["payload"]["data"]).decode()
    except (KeyError, TypeError, ValueError):
        return None


def _azure(source: str, name: str, environment: Environment) -> Any:
    url, resource = environment.get("IDENTITY_ENDPOINT"), quote("https://vault.azure.net", safe="")
    headers = (
        {"Metadata": "true"} if url is None else {"X-IDENTITY-HEADER": environment.get("IDENTITY_HEADER", "")}
    )
    asked = (
        f"{_IMDS}&resource={resource}" if url is None else f"{url}?resource={resource}&api-version=2019-08-01"
    )
    token = _asked(source, "GET", asked, headers).get("access_token")
    return _asked(source, "GET", f"{name}?api-version=7.4", _bearer(token)).get("value")


VAULTS: Final[Mapping[str, Callable[[str, str, Environment], Any]]] = {
    "vault": _vault,
    "aws": _aws,
    "gcp": _gcp,
    "azure": _azure,
}
"""What asks a vault, by the word in front of a place: an object of strings, or a string."""


def _bearer(token: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _needed(source: str, environment: Environment, name: str) -> str:
    if not environment.get(name):
        raise FinalError(f"{source}: the worker has no {name}", hint=f"set {name} for the worker")
    return environment[name]


def _asked(
    source: str, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
) -> Mapping[str, Any]:
    """The answer of a vault. Raises FinalError where it refuses, TransientError where it does not answer."""
    import httpx2  # noqa: PLC0415 -- most workers have no vault

    host = urlsplit(url).hostname
    try:
        answer = httpx2.request(
            method, url, headers=dict(headers), content=body, timeout=VAULT_TIMEOUT_S, trust_env=False
        )
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        finding = f"{source}: {host} cannot be reached: {type(error).__name__}"
        raise TransientError(finding, hint="the call is repeated") from None
    status = answer.status_code
    if status == 404 or (status == 400 and b"ResourceNotFound" in answer.content[:2_000]):
        raise FinalError(f"{source}: {host} has no such secret ({status})", hint="look at its name")
    if status in (400, 401, 403):
        is_old = b"xpired" in answer.content[:2_000]
        finding = "the credentials of the worker are expired" if is_old else "the worker may not read it"
        raise FinalError(
            f"{source}: {finding}, says {host} ({status})", hint="renew or extend its credentials"
        )
    if status != 200:
        raise TransientError(f"{source}: {host} answers {status}", hint="the call is repeated")
    try:
        data = answer.json()
    except ValueError:
        data = None
    if not is_mapping(data):
        raise TransientError(
            f"{source}: {host} answers something else than JSON", hint="the call is repeated"
        )
    return data
