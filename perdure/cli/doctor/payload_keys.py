"""What `perdure doctor` says of the keys by which payloads are signed or encrypted. It makes none."""

from __future__ import annotations

from perdure.cli.doctor.framework import Finding, failed, fine, warning
from perdure.errors import UsageError
from perdure.settings import Settings
from perdure.settings.key_ring import KEY_FILE, ring_of

DONE = {"mac": "signed", "aead": "encrypted"}


def payload_keys(settings: Settings, mode: str) -> list[Finding]:
    """Whether payloads are signed or encrypted, which `mode` says, and with which keys."""
    if mode == "off":
        finding = (
            "payloads are neither signed nor encrypted: who reaches the server can forge starts and results"
        )
        return [warning("payloads", finding, "set PERDURE_CODEC=mac or aead for all clients and workers")]
    done = f"{DONE[mode]} (PERDURE_CODEC={mode})"
    path = settings.home.absolute() / KEY_FILE
    if not settings.codec_keys and not path.exists():
        return [fine("payloads", f"{done}; the next command makes the key, in {path}")]
    try:
        ring = ring_of(settings.codec_keys, settings.home)
    except UsageError as error:
        return [failed("payloads", error.finding, error.hint)]
    source = settings.codec_keys or path
    return [fine("payloads", f"{done} with the key {ring.current}, {len(ring.keys)} read; {source}")]
