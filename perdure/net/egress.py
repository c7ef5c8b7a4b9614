"""The way out: which hosts a graph may reach, and a transport that reaches no other.

Graphs, their inputs and what models and pages say are not trusted; the settings of the worker are.
A URL from a graph may name http and https, the ports 80 and 443, and hosts all of whose addresses
are public, and none this machine's own. A host is resolved once and the connection goes to an
address that was checked, so a name that changes its mind between check and use gains nothing. What
the operator names in `Settings.allow_hosts`, or as the base URL of a service, is let through.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

import httpx2

from perdure.engine.granting.authority import not_granted
from perdure.errors import AgentError, FinalError, TransientError
from perdure.net.call_secrets import NO_SECRETS, CallSecrets
from perdure.net.name_lookup import LOOKUP_TIMEOUT_S, look_up
from perdure.net.response_head import trace
from perdure.policy.grant import Grant

if TYPE_CHECKING:
    import ssl

PORTS = {"http": 80, "https": 443}

MAX_SILENT_STREAM_BYTES = 1_000_000
"""Bytes of lines without data, one after another, in a stream of events."""


# Python calls these global, and so does IANA for some; each leads, or may lead, inside.
_INSIDE_4 = (
    IPv4Network("100.64.0.0/10"),  # carrier-grade NAT
    IPv4Network("168.63.129.16/32"),  # Azure's metadata and DNS
    IPv4Network("192.0.0.0/24"),  # protocol assignments
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv4Network("224.0.0.0/4"),  # multicast
    IPv4Network("240.0.0.0/4"),  # reserved, broadcast
)
_OUTSIDE_6 = IPv6Network("2000::/3")
_INSIDE_6 = (
    IPv6Network("2001::/23"),  # Teredo (2001::/32) and other protocol assignments
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4: carries any IPv4 address
    IPv6Network("3fff::/20"),  # documentation
)


def is_public(address: str) -> bool:
    """Whether `address` (an IP address as text) lies in the open internet, and nowhere inside.

    IPv6 forms that carry an IPv4 address (mapped, NAT64, 6to4, Teredo) are not public.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return parsed.is_global and not any(parsed in network for network in _INSIDE_4)
    return _is_public_6(parsed)


def _is_public_6(address: IPv6Address) -> bool:
    if not address.is_global or address.scope_id or address not in _OUTSIDE_6:
        return False
    return not any(address in network for network in _INSIDE_6)


def is_own(address: str) -> bool:
    """Whether an interface of this machine has `address` (an IP address as text), public or not.

    Services that listen on all interfaces, and are meant for this machine, would answer there.
    """
    return _can_bind(address) and not _binds_anything(":" in address)


def _can_bind(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:  # of UDP: it listens to nothing
            probe.bind((address, 0))
    except OSError:
        return False
    return True


@cache
def _binds_anything(is_v6: bool) -> bool:
    """Whether the machine binds addresses that it does not have: then binding says nothing."""
    return _can_bind("2001:db8:ffff::1" if is_v6 else "240.0.0.1")  # no machine has these


def _place(text: str) -> tuple[str, int | None]:
    """The host and port of an entry of an allow list: ``h``, ``h:1``, ``::1``, ``[::1]:1``."""
    host, colon, port = text.strip().lower().rpartition(":")
    if not colon or not port.isdigit() or (":" in host and not host.startswith("[")):
        host, port = text.strip().lower(), ""
    return host.strip("[]").removesuffix("."), int(port) if port else None


@dataclass(frozen=True)
class Guard:
    """What may be reached: the public internet, and `allowed` (host, port or None for any), of all this what
    the call is granted. `trusted` places are the operator's: a grant says nothing of them.
    """

    allowed: frozenset[tuple[str, int | None]] = frozenset()
    grant: Grant = field(default_factory=Grant)
    trusted: frozenset[tuple[str, int | None]] = frozenset()

    @classmethod
    def of(cls, hosts: Iterable[str], grant: Grant | None = None) -> Guard:
        """The guard that lets `hosts` through, as `Settings.allow_hosts` writes them."""
        return cls(frozenset(map(_place, hosts)), Grant(hosts=grant.hosts) if grant else Grant())

    def trusting(self, url: str) -> Guard:
        """This guard, letting through the host and port of `url` as well: it is the operator's."""
        parsed = httpx2.URL(url)
        place = (_host(parsed), parsed.port or PORTS.get(parsed.scheme))
        return replace(self, allowed=self.allowed | {place}, trusted=self.trusted | {place})

    def check(self, url: str | httpx2.URL) -> httpx2.URL:
        """`url`, parsed. Raises FinalError for what no address could make right."""
        try:
            parsed = httpx2.URL(url)
        except httpx2.InvalidURL as error:
            raise FinalError(f"{str(url)[:200]!r} is not a URL: {error}") from None
        if parsed.scheme not in PORTS or not parsed.host:
            raise FinalError(
                f"{str(url)[:200]!r} cannot be called: agents reach http and https only",
                hint="give a URL such as https://example.com/data",
            )
        if parsed.userinfo:
            raise FinalError(
                f"{parsed.scheme}://…@{parsed.host} carries a user name or password",
                hint="send credentials in a header",
            )
        if parsed.port is not None and not 0 < parsed.port < 65_536:
            raise FinalError(f"{str(url)[:200]!r} has port {parsed.port}: ports are 1 to 65535")
        port = parsed.port or PORTS[parsed.scheme]
        clause = self.grant.host_refusal(_host(parsed))
        if clause is not None and (_host(parsed), port) not in self.trusted:
            raise not_granted("hosts", _host(parsed), clause)
        if port not in PORTS.values() and not self._allows(_host(parsed), port):
            raise _refused(_host(parsed), port, f"port {port} is neither 80 nor 443")
        return parsed

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of `host` that a connection may go to, best first.

        Raises FinalError where any of them is not public, TransientError where the name does not resolve.
        """
        resolved = await _resolve(host, port)
        if not self._allows(host, port):
            inside = [address for address in resolved if not is_public(address)]
            if inside:
                raise _refused(host, port, f"{inside[0]} is not a public address")
            own = [address for address in resolved if is_own(address)]
            if own:
                raise _refused(host, port, f"{own[0]} is an address of this machine")
        return resolved

    def _allows(self, host: str, port: int) -> bool:
        name = host.lower().removesuffix(".")
        return not self.allowed.isdisjoint({(name, port), (name, None)})


def _host(url: httpx2.URL) -> str:
    """The host as it goes to the resolver: ASCII, no brackets."""
    return url.raw_host.decode("ascii").lower().removesuffix(".")


def _refused(host: str, port: int, reason: str) -> FinalError:
    shown = f"[{host}]" if ":" in host else host
    return FinalError(
        f"{shown}:{port} is out of bounds for graphs: {reason}",
        hint=f"where this host is meant, start the worker with PERDURE_ALLOW_HOSTS={shown}:{port}",
    )


_RESOLVE_HINT = "check its spelling and the network; a `deadline` on the node bounds how long it is tried"


async def _resolve(host: str, port: int) -> list[str]:
    try:
        ip_address(host)
    except ValueError:
        pass
    else:
        return [host]
    try:
        return await look_up(host, port)
    except TimeoutError as error:
        reason = str(error) or f"no answer within {LOOKUP_TIMEOUT_S:g} s"
        raise TransientError(f"the name {host} does not resolve: {reason}", hint=_RESOLVE_HINT) from None
    except socket.gaierror as error:
        # A resolver says the same of a service that is being deployed, and of a network that is down.
        raise TransientError(
            f"the name {host} does not resolve: {error.strerror}",
            hint=_RESOLVE_HINT,
        ) from None
    except (UnicodeError, OSError) as error:
        raise AgentError(f"the name {host[:100]!r} could not be looked up: {error}") from None


@cache
def _certificates() -> ssl.SSLContext:
    # Loading the certificate store takes some 20 ms: once, not once a request.
    return httpx2.create_ssl_context(trust_env=False)


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Sends each request to an address that `guard` has checked, and to no proxy.

    TLS still names and verifies the host of the URL. With `keep_alive` connections are kept for
    later requests, which is only right where all go to one host. With `largest` (bytes) longer
    answers are cut off with an AgentError, and compressed ones refused. Headers that name `secrets` get them.
    """

    def __init__(
        self, guard: Guard, *, keep_alive: bool = False, largest: int = 0, secrets: CallSecrets = NO_SECRETS
    ) -> None:
        self._guard, self._largest, self._secrets = guard, largest, secrets
        limits = httpx2.Limits(max_keepalive_connections=20 if keep_alive else 0)
        self._inner = httpx2.AsyncHTTPTransport(verify=_certificates(), trust_env=False, limits=limits)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Sends `request` to the first of its host's addresses that can be connected to."""
        url = self._guard.check(request.url)
        host, port = _host(url), url.port or PORTS[url.scheme]
        addresses = await self._guard.addresses(host, port)
        path = url.raw_path.decode().partition("?")[0]
        headers = await self._secrets.filled(request.headers, url.scheme, host, port, path)
        extensions = {**request.extensions, "trace": trace}
        extensions |= {} if addresses == [host] else {"sni_hostname": host}
        for count, address in enumerate(addresses, 1):
            sent = httpx2.Request(
                request.method,
                url.copy_with(host=address),
                headers=headers,
                stream=request.stream,
                extensions=extensions,
            )
            try:
                return self._bounded(await self._inner.handle_async_request(sent), host)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if count == len(addresses):
                    raise
        raise AgentError(f"the host {host} has no address")

    def _bounded(self, answer: httpx2.Response, host: str) -> httpx2.Response:
        if self._largest and isinstance(answer.stream, httpx2.AsyncByteStream):
            # A compressed answer could be bounded on the wire only: none of it is read.
            plain = answer.headers.get("content-encoding", "identity").lower() == "identity"
            bounded = _Bounded(answer.stream, self._largest if plain else 0, host)
            bounded.is_of_events = answer.headers.get("content-type", "").startswith("text/event-stream")
            answer.stream = bounded
        return answer

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    """A response body that ends with an AgentError beyond `largest` bytes.

    If it `is_of_events`, it also ends after many lines without data: comments are read line by line, and keep
    all others waiting.
    """

    is_of_events = False

    def __init__(self, stream: httpx2.AsyncByteStream, largest: int, host: str) -> None:
        self._stream = stream
        self._host = host
        self._largest = largest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = silent = 0
        async for piece in self._stream:
            size += len(piece)
            silent = silent + len(piece) if b"\n" in piece and b"data:" not in piece else 0
            if self.is_of_events and silent > MAX_SILENT_STREAM_BYTES:
                raise AgentError(f"{self._host}: the stream has sent {silent:,} bytes of lines without data")
            if size > self._largest:
                reason = f"larger than {self._largest:,} bytes" if self._largest else "compressed unasked"
                raise AgentError(f"{self._host}: the answer is {reason}")
            yield piece
            await asyncio.sleep(0)  # what has arrived is read without a wait: others have their turn

    async def aclose(self) -> None:
        await self._stream.aclose()
