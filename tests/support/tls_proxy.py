"""A way to a server by mutual TLS, with certificates of its own that can be changed while it is up."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SERVER_NAME = "temporal.test"


def issue(folder: Path) -> None:
    """Writes an authority and what it has signed: ca.pem, server.pem and .key, client.pem and .key."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"authority of {folder.name}")
    _write(folder / "ca.pem", _signed(name, authority, name, authority, is_authority=True))
    for end in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        _write(folder / f"{end}.pem", _signed(_name(end), key, name, authority))
        private = serialization.PrivateFormat.PKCS8
        data = key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
        (folder / f"{end}.key").write_bytes(data)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _signed(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    authority: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool = False,
) -> x509.Certificate:
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    return builder.add_extension(names, critical=False).sign(authority, hashes.SHA256())


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.load_verify_locations(folder / "ca.pem")
    return context


@dataclass
class TlsProxy:
    """Passes on what clients with a certificate of the current authority send to `target`."""

    target: str
    port: int = 0
    _listening: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    _writers: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self, folder: Path) -> None:
        """Takes connections with the certificates in `folder`, and ends those that there are."""
        await self.close()
        self._listening = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, ssl=_context(folder)
        )
        self.port = self._listening.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Ends all connections, and takes no new ones."""
        if self._listening is not None:
            self._listening.close()
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        writers, self._writers = self._writers, set()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)
        if self._listening is not None:
            await self._listening.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.rpartition(":")
        there, to_there = await asyncio.open_connection(host, int(port))
        self._writers |= {writer, to_there}
        ways = ((reader, to_there), (there, writer))
        self._tasks |= {asyncio.create_task(_passed_on(*way)) for way in ways}


async def _passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def tls_proxy(target: str, folder: Path) -> AsyncGenerator[TlsProxy]:
    """The proxy with the certificates in `folder`, for as long as the block lasts."""
    proxy = TlsProxy(target)
    await proxy.serve(folder)
    try:
        yield proxy
    finally:
        await proxy.close()
