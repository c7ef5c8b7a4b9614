"""How the server is reached: with which address and certificates, and how payloads are written for it.

Plain text
    Beyond the loopback address, it can be read and changed on the way. It takes the operator's word:
    PERDURE_INSECURE=1. An API key is never sent in plain text.

Certificates and API keys that change
    Files are read again while a client lives, and a connection with the new ones takes the place of the old
    one: for every call of the client, and for the polls of the workers that run with it. What cannot connect
    is not taken: the old connection stays until the files are right.
    A background task for each client was rejected: who forgets to close a client would leave it behind.
    Instead a client looks before a call, and a worker, whose polls are not calls of the client, in turns.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, Final, Self
from urllib.parse import urlsplit

from temporalio.client import Client
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    SerializationContext,
    WithSerializationContext,
)
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.plugin import SimplePlugin
from temporalio.service import ConnectConfig, RPCError, ServiceClient, TLSConfig
from temporalio.worker import Worker

from perdure import server
from perdure.errors import ConnectionFailed, UsageError
from perdure.plugin import GraphPlugin
from perdure.protocol.payload_codec import KeyedCodec, codec_of
from perdure.settings import Settings
from perdure.settings.key_ring import ring_of
from perdure.temporal.rpc_errors import short

CLIENT_CONNECT_TIMEOUT = timedelta(seconds=10)

CERTIFICATE_POLL_INTERVAL_S: Final = 30.0
"""Seconds between two looks at the files with certificates and keys."""

INSECURE_HINT: Final = "set TEMPORAL_TLS=true, or PERDURE_INSECURE=1 inside a network of your own"

KEY_HINT: Final = "set TEMPORAL_TLS=true: an API key is never sent in plain text"


def configured() -> ClientConnectConfig:
    """What the environment says of the server; without a `target_host` it is the embedded one.

    Raises UsageError when Temporal's file of profiles, or one of its variables, cannot be read.
    """
    try:
        return ClientConfig.load_client_connect_config()
    except RuntimeError as error:
        raise UsageError(f"Temporal's configuration: {short(error)}", hint="see TEMPORAL_PROFILE") from error


def codec_mode_for(settings: Settings, address: str | None = None) -> str:
    """How payloads are written for the server at `address`, None for the embedded one: off, mac or aead."""
    if settings.codec:
        return settings.codec
    embedded = server.status(settings) if address else None
    return "mac" if not address or (embedded and embedded.address == address) else "off"


def codec_for(settings: Settings, address: str | None = None) -> KeyedCodec | None:
    """The codec for the server at `address`, None for the embedded one; None where payloads are not signed.

    Raises UsageError for keys that cannot be read.
    """
    mode = codec_mode_for(settings, address)
    return None if mode == "off" else codec_of(mode, ring_of(settings.codec_keys, settings.home))


def is_plain(config: ClientConnectConfig) -> bool:
    """Whether others on the way can read and change what goes to this server."""
    target = (config.get("target_host") or "localhost").lower()
    try:
        host = urlsplit("//" + target).hostname or ""
        is_here = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        is_here = False
    has_tls = config.get("tls") or (config.get("api_key") and config.get("tls") is None)
    return not is_here and (not has_tls or target.startswith("http:"))


def is_allowed(config: ClientConnectConfig, *, insecure: bool) -> bool:
    """Whether to connect to this server: `insecure` allows plain text, with which no API key is sent."""
    return not is_plain(config) or (insecure and not config.get("api_key"))


async def reach(
    config: ClientConnectConfig,
    identity: str | None = None,
    codec: KeyedCodec | None = None,
    *,
    insecure: bool = False,
) -> Client:
    """A connection to the server that `config` names.

    Raises ConnectionFailed when it does not answer, and UsageError for plain text that is not allowed.
    """
    if not is_allowed(config, insecure=insecure):
        raise UsageError(
            f"{config.get('target_host')} would be reached without TLS: others on the way could read and "
            "change what goes there",
            hint=KEY_HINT if config.get("api_key") else INSECURE_HINT,
            variable="PERDURE_INSECURE",
        )
    converter = _KeyedConverter(payload_codec=codec) if codec is not None else DataConverter.default
    if codec is not None and codec.hides:
        failures = DefaultFailureConverterWithEncodedAttributes
        converter = replace(converter, failure_converter_class=failures)
    try:
        return await Client.connect(
            **config,
            plugins=[GraphPlugin(), _RenewalPlugin()],
            identity=identity,
            connect_timeout=CLIENT_CONNECT_TIMEOUT,
            data_converter=converter,
        )
    except (RPCError, RuntimeError) as error:
        address = config.get("target_host", "")
        raise ConnectionFailed(
            f"no Temporal server answers at {address}: {_reason(error)}", hint=_hint(config, error)
        ) from error


class _KeyedConverter(DataConverter):
    """A data converter that is cheap to have for each workflow.

    The SDK would build all its parts again, some ten times for a run.
    """

    def with_context(self, context: SerializationContext) -> Self:
        """This converter, with the parts that depend on the workflow."""
        own = copy(self)
        for name in ("payload_converter", "payload_codec", "failure_converter"):
            part = getattr(self, name)
            if isinstance(part, WithSerializationContext):
                object.__setattr__(own, name, part.with_context(context))
        return own


class RenewableService(ServiceClient):
    """A connection that another takes the place of when the files of its certificates change.

    `source` says what they hold now. The address and the namespace stay.
    """

    def __init__(self, inner: ServiceClient, source: Callable[[], ClientConnectConfig]) -> None:
        super().__init__(inner.config)
        self._inner = inner
        self._source = source
        self._looked = time.monotonic()
        self._one_at_a_time = asyncio.Lock()

    @property
    def worker_service_client(self) -> Any:
        """The connection itself, as workers need it."""
        return self._inner.worker_service_client

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        """See the SDK."""
        self._inner.update_rpc_metadata(metadata)

    def update_api_key(self, api_key: str | None) -> None:
        """See the SDK."""
        self._inner.update_api_key(api_key)

    async def renew(self) -> bool:
        """Connects again if the files have changed since; False if it keeps the connection that there is."""
        async with self._one_at_a_time:
            self._looked = time.monotonic()
            with suppress(UsageError, RPCError, RuntimeError, OSError):  # half of the files are written, say
                now = await asyncio.to_thread(self._source)
                config = _with_credentials(self.config, now)
                if config != self.config:
                    self._inner = await ServiceClient.connect(config)
                    self.config = config
                    return True
        return False

    async def _rpc_call(self, rpc: str, req: Any, resp_type: Any, **options: Any) -> Any:
        if time.monotonic() - self._looked > CERTIFICATE_POLL_INTERVAL_S and not self._one_at_a_time.locked():
            await self.renew()
        return await self._inner._rpc_call(rpc, req, resp_type, **options)  # pyright: ignore[reportPrivateUsage] -- what a service client consists of


def _with_credentials(config: ConnectConfig, now: ClientConnectConfig) -> ConnectConfig:
    """Raises UsageError for plain text, whatever was allowed at the start."""
    tls, key = now.get("tls", config.tls), now.get("api_key")
    changed: ClientConnectConfig = {"target_host": config.target_host}
    if tls is not None:
        changed["tls"] = tls
    if key is not None:
        changed["api_key"] = key
    if is_plain(changed):
        raise UsageError(f"{config.target_host} would be reached without TLS", hint=KEY_HINT)
    metadata = now.get("rpc_metadata", config.rpc_metadata)
    return replace(config, tls=tls, api_key=key, rpc_metadata=metadata)


class _RenewalPlugin(SimplePlugin):
    """Makes the connection of a client renewable, if it has certificates or a key that may change."""

    def __init__(self) -> None:
        super().__init__("perdure.RenewalPlugin")  # pyright: ignore[reportUnknownMemberType] -- the SDK's

    async def connect_service_client(
        self, config: ConnectConfig, next: Callable[[ConnectConfig], Awaitable[ServiceClient]]
    ) -> ServiceClient:
        """The connection, watched where the environment names files."""
        inner = await next(config)
        may_change = isinstance(config.tls, TLSConfig) or config.api_key
        return RenewableService(inner, configured) if may_change else inner

    async def run_worker(self, worker: Worker, next: Callable[[Worker], Awaitable[None]]) -> None:
        """Runs the worker, whose polls move to each new connection."""
        service = worker.client.service_client
        if not isinstance(service, RenewableService):
            await super().run_worker(worker, next)
            return
        moving = asyncio.create_task(_moved(worker, service))
        try:
            await super().run_worker(worker, next)
        finally:
            moving.cancel()
            await asyncio.gather(moving, return_exceptions=True)


async def _moved(worker: Worker, service: RenewableService) -> None:
    """Keeps the polls of the worker on the connection that its client has."""
    connection = service.worker_service_client
    while True:
        await asyncio.sleep(CERTIFICATE_POLL_INTERVAL_S)
        await service.renew()
        if service.worker_service_client is not connection:
            worker.client = worker.client
            connection = service.worker_service_client


def _hint(config: ClientConnectConfig, error: Exception) -> str:
    """What to do about a server that cannot be reached."""
    text = str(error).lower()
    if "certificate" in text or "tls" in text or "pem" in text:
        return (
            "see TEMPORAL_TLS_SERVER_CA_CERT_PATH, TEMPORAL_TLS_SERVER_NAME, TEMPORAL_TLS_CLIENT_CERT_PATH "
            "and TEMPORAL_TLS_CLIENT_KEY_PATH"
        )
    if config.get("tls"):
        return "is there a server with TLS? Correct TEMPORAL_ADDRESS, or TEMPORAL_TLS"
    return "start one there, or unset TEMPORAL_ADDRESS to use the embedded server"


def _reason(error: Exception) -> str:
    """What was wrong, without the layers of the SDK's core that it passed through."""
    messages = re.findall(r'(?:message|error): "([^"]+)"', str(error))
    return messages[-1] if messages else short(error)
