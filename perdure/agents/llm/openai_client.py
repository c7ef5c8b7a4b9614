"""Where a model is asked, with which key, and the clients of the `openai` package for it.

Every shipped model agent uses OpenAI's protocol; the other providers offer it in addition to their own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

import httpx2

from perdure.agents.agent import AgentContext
from perdure.agents.llm.local_notice import notice_local_model
from perdure.errors import AgentTimeout, FinalError
from perdure.graph.values import Value
from perdure.net.call_secrets import NO_SECRETS, CallSecrets, names_secret
from perdure.net.egress import PORTS, Guard, GuardedTransport
from perdure.version import installation

if TYPE_CHECKING:
    from openai import AsyncOpenAI

BASE_URLS = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1/",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai/",
    "groq": "https://api.groq.com/openai/v1",
}
"""Base URLs of the providers' OpenAI-compatible interfaces, from their documentation."""

AZURE_VERSION = "2025-04-01-preview"
_NO_KEY = "none"  # servers that want no key get this one: the client must send some
_AZURE = ".openai.azure.com"
_MAX_ANSWER_BYTES = 50_000_000

MAX_MODEL_CALL_S = 3600.0
"""Seconds of one request to a model, whatever trickles in meanwhile."""

_PACKAGE = ("openai", "openai.resources.chat", "openai.resources.embeddings", "openai.resources.images")
"""What a client needs of the package: to import it takes a second and more."""

_SENT_ANYWHERE = frozenset(
    {
        "accept",
        "accept-encoding",
        "api-key",
        "connection",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "user-agent",
    }
)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A place to ask models. `trusted` where the operator chose it, not the graph."""

    provider: str
    base_url: str
    key: str = field(repr=False)
    trusted: bool
    shared: bool = False
    azure_version: str = ""

    @property
    def host(self) -> str:
        """The host, for messages."""
        return httpx2.URL(self.base_url).host


async def endpoint(
    provider: str,
    context: AgentContext,
    *,
    key: str = "",
    url: str = "",
    azure_version: str = "",
    local: bool = True,
) -> Endpoint:
    """The endpoint for a call with the graph's `key` and `url`, empty where it gives none.

    Without either, the settings decide; without settings, the small models of this machine where
    `local`. Raises FinalError where nothing is left, or the graph's URL is out of bounds.
    """
    settings = context.settings
    own_key, own_url = settings.keys.get(provider, ""), settings.base_urls.get(provider, "")
    if url:
        return _of_graph(provider, context, key=key, url=url, azure_version=azure_version)
    if own_url or own_key or key:
        return Endpoint(
            provider=provider,
            base_url=own_url or BASE_URLS[provider],
            key=key or own_key or _NO_KEY,
            trusted=True,
            shared=not key,
            azure_version=azure_version,
        )
    if local and context.local_models is not None:
        notice_local_model(context)
        place = httpx2.URL(await context.local_models())
        base_url = str(place.copy_with(userinfo=b""))
        key = place.password or _NO_KEY
        return Endpoint(provider=provider, base_url=base_url, key=key, trusted=True, shared=True)
    raise _nothing(provider, context.agent, local=local)


def _of_graph(provider: str, context: AgentContext, *, key: str, url: str, azure_version: str) -> Endpoint:
    """The endpoint at a URL from the graph: the worker's key goes to the provider's own base URL only.

    Any other path of the same host may be another service, such as the administration of a gateway.
    """
    settings = context.settings
    trusted = is_operators(provider, context, url)
    own_key = settings.keys.get(provider, "") if trusted else ""
    return Endpoint(
        provider=provider,
        base_url=url,
        key=key or own_key or _NO_KEY,
        trusted=trusted,
        azure_version=azure_version,
    )


def _base(url: httpx2.URL) -> tuple[str, bytes, int | None, bytes, str]:
    """What must be the same in both: all of a URL, whether its path ends in a slash or not."""
    port = url.port or PORTS.get(url.scheme)
    return url.scheme, url.raw_host.lower(), port, url.raw_path.rstrip(b"/"), url.fragment


def key_of(provider: str, options: Mapping[str, Value], context: AgentContext, url: str) -> str:
    """The key that a call gives: not that of `config` where the graph has named the `url`.

    `config` is the caller's, and its key would go to whatever server the graph names.
    """
    key, config = options.get("apiKey"), context.config
    if not isinstance(key, str):
        return ""
    if names_secret(key):  # it goes where the operator says
        return key
    if not url or key != config.get("apiKey") or options.get("baseURL") == config.get("baseURL"):
        return key
    return key if is_operators(provider, context, url) else ""


def is_operators(provider: str, context: AgentContext, url: str) -> bool:
    """Whether `url` is the base URL of the settings, or of the provider itself."""
    base_urls = (context.settings.base_urls.get(provider, ""), BASE_URLS[provider])
    parsed = Guard.of(context.settings.allow_hosts).check(url)
    return any(_base(httpx2.URL(one)) == _base(parsed) for one in base_urls if one)


def _nothing(provider: str, agent: str, *, local: bool) -> FinalError:
    name = provider.upper()
    hint = (
        f"set {name}_API_KEY for the worker, or {name}_BASE_URL to an OpenAI-compatible server such as "
        "Ollama, vLLM or llama.cpp"
    )
    if local:
        hint += f"; or {installation('local')} for small models on this machine"
    finding = f"{agent}: no model to ask: this worker has no key and no server for {provider!r}"
    return FinalError(finding, hint=hint)


# Clients keep connections, which belong to the event loop that opened them. Only what the operator
# configured is kept, so a graph that invents keys cannot fill the memory.
_kept: dict[asyncio.AbstractEventLoop, dict[tuple[Endpoint, Guard], AsyncOpenAI]] = {}


@asynccontextmanager
async def client(to: Endpoint, context: AgentContext) -> AsyncGenerator[AsyncOpenAI]:
    """A client for `to`: kept for later calls where it is the operator's, closed at the end where not.

    Raises AgentTimeout where it is used for longer than MAX_MODEL_CALL_S.
    """
    try:
        async with asyncio.timeout(MAX_MODEL_CALL_S), _client(to, context) as one:
            yield one
    except TimeoutError:
        raise AgentTimeout(MAX_MODEL_CALL_S) from None


@asynccontextmanager
async def _client(to: Endpoint, context: AgentContext) -> AsyncGenerator[AsyncOpenAI]:
    guard = Guard.of(context.settings.allow_hosts, context.grant)
    guard = guard.trusting(to.base_url) if to.trusted else guard
    if _PACKAGE[-1] not in sys.modules:  # in the event loop, all other calls would wait for it
        await asyncio.to_thread(lambda: [import_module(name) for name in _PACKAGE])
    if not to.shared:
        async with _new(to, guard, context.secrets) as once:
            yield once
        return
    for loop in [loop for loop in _kept if loop.is_closed()]:
        del _kept[loop]
    clients = _kept.setdefault(asyncio.get_running_loop(), {})
    if (to, guard) not in clients:
        clients[to, guard] = _new(to, guard, NO_SECRETS)
    yield clients[to, guard]


async def close_clients() -> None:
    """Closes the clients that this event loop keeps; for the end of a worker."""
    for kept in _kept.pop(asyncio.get_running_loop(), {}).values():
        await kept.close()


def _new(to: Endpoint, guard: Guard, secrets: CallSecrets) -> AsyncOpenAI:
    from openai import AsyncAzureOpenAI, AsyncOpenAI  # noqa: PLC0415 -- loaded by now

    http = httpx2.AsyncClient(
        transport=GuardedTransport(guard, keep_alive=True, largest=_MAX_ANSWER_BYTES, secrets=secrets),
        trust_env=False,
        follow_redirects=False,
        # A small model on a busy machine may think for minutes before its first token.
        timeout=httpx2.Timeout(60.0, connect=10.0, read=300.0),
        event_hooks={
            "request": [_uncompressed if to.trusted and to.provider == "openai" else _without_strangers(to)]
        },
    )
    # Temporal repeats a failed call; a second layer of repetitions would hide and multiply it.
    if to.host.endswith(_AZURE):
        return AsyncAzureOpenAI(
            api_key=to.key,
            azure_endpoint=to.base_url,
            api_version=to.azure_version or AZURE_VERSION,
            max_retries=0,
            http_client=http,
        )
    return AsyncOpenAI(api_key=to.key, base_url=to.base_url, max_retries=0, http_client=http)


async def _uncompressed(request: httpx2.Request) -> None:
    """Asks for an answer whose bytes can be counted."""
    request.headers["Accept-Encoding"] = "identity"


def _without_strangers(to: Endpoint) -> Callable[[httpx2.Request], Awaitable[None]]:
    """A hook that takes from a request what the `openai` package read from the environment.

    Such headers (from OPENAI_ORG_ID, OPENAI_CUSTOM_HEADERS and so on) are meant for OpenAI alone.
    """
    authorization = "" if to.host.endswith(_AZURE) else f"Bearer {to.key}"

    async def clean(request: httpx2.Request) -> None:
        for name in set(request.headers) - _SENT_ANYWHERE:
            del request.headers[name]
        request.headers["Accept-Encoding"] = "identity"
        if authorization:
            request.headers["Authorization"] = authorization

    return clean
