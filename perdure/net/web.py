"""One HTTP request and its whole answer, within bounds: time, size, redirects, places.

For the agents that fetch; the model agents go through the `openai` package (see openai_client).
No proxy, cookie or password of the worker's environment is used.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import httpx2

from perdure.errors import AgentError, FinalError, TransientError
from perdure.net.call_secrets import NO_SECRETS, CallSecrets
from perdure.net.egress import Guard, GuardedTransport
from perdure.net.failures import of_transport
from perdure.version import VERSION

USER_AGENT = f"perdure/{VERSION} (https://pypi.org/project/perdure)"

MAX_GZIP_RATIO = 200
"""Times that an answer may grow by decompression; what people write shrinks to a tenth."""

FREE_UNZIPPED_BYTES = 1_000_000
"""Bytes up to which the ratio is not looked at."""

MAX_TINY_CHUNK_COUNT = 10_000
"""Chunks of an answer, from which on they must have TINY_CHUNK_BYTES on average."""

TINY_CHUNK_BYTES = 16

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_IN_VALUE = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_OF_THE_CONNECTION = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_KEPT_ACROSS_ORIGINS = frozenset({"accept", "accept-language", "content-type", "user-agent"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Limits of one request: seconds, bytes on the wire, bytes after decompression, redirects."""

    connect: float = 10.0
    read: float = 60.0
    total: float = 120.0
    wire: int = 5_000_000
    decoded: int = 20_000_000
    redirects: int = 5


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to send. `headers` are checked: no header of the connection itself, no line breaks."""

    method: str = "GET"
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The answer after redirects, whatever its status; `body` is decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status says success."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as UTF-8, whatever its header says: what JavaScript's fetch does."""
        return self.body.decode("utf-8-sig", "replace")


async def send(
    request: Request, guard: Guard, bounds: Bounds | None = None, secrets: CallSecrets = NO_SECRETS
) -> Reply:
    """Sends `request` where `guard` lets it, follows redirects under the same guard.

    Headers that name `secrets` get them at each request, if its URL is one that they are for.

    Raises FinalError for what may not be sent, TransientError for a network that fails or a deadline
    that passes, AgentError for an answer that is beyond the bounds or not HTTP. Statuses are the caller's
    to judge.
    """
    bounds = bounds or Bounds()
    _check_headers(request.headers)
    try:
        async with asyncio.timeout(bounds.total):
            return await _follow(request, guard, bounds, secrets)
    except TimeoutError:
        raise TransientError(f"{_site(request.url)}: no whole answer within {bounds.total:g} s") from None
    except httpx2.TimeoutException as error:
        raise TransientError(f"{_site(request.url)}: {type(error).__name__}, no answer in time") from None
    except (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        raise FinalError(f"{_site(request.url)}: the request cannot be sent: {error}") from None
    except httpx2.TransportError as error:
        raise of_transport(error, f"{_site(request.url)}: {error or type(error).__name__}") from None


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        lower = name.lower()
        if not _TOKEN.fullmatch(name) or _NOT_IN_VALUE.search(value) or not _is_latin(value):
            raise FinalError(
                f"the header {name[:80]!r} cannot be sent: a name has letters, digits and dashes, "
                "a value has no line breaks and no characters beyond Latin-1"
            )
        if lower in _OF_THE_CONNECTION or lower.startswith("proxy-"):
            raise FinalError(f"the header {name!r} belongs to the connection", hint="leave it out")


def _is_latin(text: str) -> bool:
    return all(char < "\u0100" for char in text)


def _site(url: str) -> str:
    """Scheme, host and port of `url`: its path and query may hold secrets."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return "the request"
    return str(parsed.copy_with(raw_path=b"/", fragment=None, userinfo=b""))


async def _follow(request: Request, guard: Guard, bounds: Bounds, secrets: CallSecrets) -> Reply:
    for _ in range(bounds.redirects + 1):
        target, reply = await _once(request, guard, bounds, secrets)
        if target is None:
            return reply
        request = _redirected(request, target, reply.status)
    raise AgentError(f"{_site(request.url)}: more than {bounds.redirects} redirects")


def _redirected(request: Request, target: str, status: int) -> Request:
    """The next request after a redirect (WHATWG fetch: POST becomes GET for 301-303)."""
    headers = dict(request.headers)
    if _origin(request.url) != _origin(target):
        headers = {name: value for name, value in headers.items() if name.lower() in _KEPT_ACROSS_ORIGINS}
    becomes_get = status == 303 and request.method != "HEAD"
    if not (becomes_get or (status in (301, 302) and request.method == "POST")):
        return replace(request, url=target, headers=headers)
    headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
    return Request(method="GET", url=target, headers=headers)


def _origin(url: str) -> tuple[str, bytes, int | None]:
    parsed = httpx2.URL(url)
    return parsed.scheme, parsed.raw_host.lower(), parsed.port


async def _once(
    request: Request, guard: Guard, bounds: Bounds, secrets: CallSecrets
) -> tuple[str | None, Reply]:
    """One exchange: where it redirects to, if it does, and the answer."""
    timeout = httpx2.Timeout(bounds.read, connect=bounds.connect)
    headers = {
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        **request.headers,
        "Accept-Encoding": "gzip",
    }
    url = guard.check(request.url)
    transport = GuardedTransport(guard, secrets=secrets)
    async with (
        httpx2.AsyncClient(transport=transport, trust_env=False, timeout=timeout) as client,
        client.stream(request.method, url, headers=headers, content=request.body) as answer,
    ):
        target = answer.headers.get("location") if answer.status_code in _REDIRECTS else None
        body = b"" if target else await _read(answer, request, bounds)
        reply = Reply(status=answer.status_code, headers=dict(answer.headers), body=body)
    return (str(url.join(target)) if target else None), reply


async def _read(answer: httpx2.Response, request: Request, bounds: Bounds) -> bytes:
    encoding = answer.headers.get("content-encoding", "").strip().lower()
    async with aclosing(_counted(answer, request, bounds)) as pieces:
        if encoding in ("", "identity") or request.method == "HEAD":
            return b"".join([piece async for piece in pieces])
        if encoding not in ("gzip", "x-gzip"):
            raise AgentError(f"{_site(request.url)}: the answer is in {encoding[:40]!r}; gzip was asked for")
        try:
            return await _unzip(pieces, request, bounds)
        except zlib.error as error:
            raise AgentError(f"{_site(request.url)}: the answer is not gzip: {error}") from None


async def _unzip(pieces: AsyncIterator[bytes], request: Request, bounds: Bounds) -> bytes:
    # Never asks zlib for more than the rest of the limit: one small piece can hold a gigabyte.
    out = bytearray()
    decoder = None
    size = 0
    async for piece in pieces:
        rest = piece
        size += len(piece)
        while rest:
            decoder = decoder or zlib.decompressobj(zlib.MAX_WBITS | 16)
            out += decoder.decompress(rest, bounds.decoded - len(out) + 1)
            if len(out) > bounds.decoded:
                raise _too_big(request, bounds.decoded, "decompressed ")
            if len(out) > max(FREE_UNZIPPED_BYTES, MAX_GZIP_RATIO * (size - len(decoder.unconsumed_tail))):
                raise AgentError(
                    f"{_site(request.url)}: the answer decompresses to {MAX_GZIP_RATIO} times its size"
                )
            rest = decoder.unconsumed_tail
            if decoder.eof:
                rest, decoder = decoder.unused_data, None
    if decoder:
        raise zlib.error("it breaks off")
    return bytes(out)


async def _counted(answer: httpx2.Response, request: Request, bounds: Bounds) -> AsyncGenerator[bytes, None]:
    size = 0
    count = 0
    async for piece in answer.aiter_raw():
        size += len(piece)
        count += 1
        if count > MAX_TINY_CHUNK_COUNT and size < count * TINY_CHUNK_BYTES:
            raise AgentError(f"{_site(request.url)}: the answer comes in chunks of a few bytes")
        if size > bounds.wire:
            raise _too_big(request, bounds.wire, "")
        yield piece


def _too_big(request: Request, limit: int, what: str) -> AgentError:
    return AgentError(f"{_site(request.url)}: the {what}answer is larger than {limit:,} bytes")
