"""How the text of a variable is read: each function takes the name and the text, and raises UsageError."""

from __future__ import annotations

import base64
import binascii
import math
import re
import shlex
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from perdure.errors import UsageError
from perdure.graph.human_input import CHANNEL_NAME

SECRET_PREFIX: Final = "whsec_"
MIN_SECRET_BYTES: Final = 16

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_DATA_HINT = "write machines=/srv/machines, a name and a path"
_ADDRESSES = re.compile(r"mailto:[^@\s,<>]+@[^@\s,<>]+(,[^@\s,<>]+@[^@\s,<>]+)*")


def days(name: str, text: str, most: float = math.inf, example: int = 7) -> float:
    """The days that `text`, the value of `name`, says. Raises UsageError below an hour, or above `most`."""
    number = _number(text)
    if not 1 / 24 <= number <= most or math.isinf(number):
        upper = " up" if math.isinf(most) else f" to {most:g}"
        raise _refused(name, text, f"a number of days from 0.042 (an hour){upper}", example)
    return number


def count(name: str, text: str, least: int, unit: str, example: int, most: int | None = None) -> int:
    """The number that `text`, the value of `name`, stands for. Raises UsageError outside of its bounds."""
    if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
        upper = " up" if most is None else f" to {most}"
        raise _refused(name, text, f"a number of {unit} from {least}{upper}", example)
    return int(text)


def seconds(name: str, text: str) -> float:
    """The seconds that `text` says. Raises UsageError for none."""
    number = _number(text)
    if not 0 < number < math.inf:
        raise _refused(name, text, "a number of seconds above 0", 600)
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _refused(name: str, text: str, expected: str, example: Any) -> UsageError:
    return UsageError(f"{name}: {text!r} is not {expected}", hint=f"set it to {example}, say", variable=name)


def port(name: str, text: str) -> int:
    """The port that `text` says. Raises UsageError for what is none."""
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise _refused(name, text, "a port, from 1 to 65535", 8081)
    return int(text)


def string(name: str, text: str) -> str:
    """The text as it is."""
    del name
    return text


def folder(name: str, text: str) -> Path:
    """The folder of this path."""
    del name
    return Path(text)


def is_on(name: str, text: str) -> bool:
    """Whether it switches something on: whatever does not say no."""
    del name
    return text.lower() not in ("0", "false", "no")


def words(name: str, text: str) -> tuple[str, ...]:
    """The words of a list, between spaces or commas."""
    del name
    return tuple(text.replace(",", " ").split())


def deployment_name(name: str, text: str) -> str:
    """The name of a deployment. Raises UsageError for one that Temporal cannot separate from its build."""
    if set(".:") & set(text):
        raise UsageError(f"{name}: {text!r} has a dot or a colon", hint="leave it out", variable=name)
    return text


def synchronous(name: str, text: str) -> str:
    """SQLite's word for how it writes. Raises UsageError for another."""
    if text.upper() not in ("FULL", "NORMAL"):
        hint = "leave it out for FULL"
        raise UsageError(f"{name}: {text!r} is neither FULL nor NORMAL", hint=hint, variable=name)
    return text.upper()


def channels(name: str, text: str) -> dict[str, str]:
    """Addresses of webhooks and of people by the names of their channels. Raises UsageError."""
    read: dict[str, str] = {}
    for word in text.split():
        channel, equals, address = word.partition("=")
        if not equals or not CHANNEL_NAME.fullmatch(channel) or not _is_channel_address(address):
            # Not the word itself: the path of a webhook is often its secret.
            finding = f"{name}: channel {len(read) + 1} is not NAME=https://… or NAME=mailto:…"
            hint = f"{name}='default=https://hooks.example.org/x leads=mailto:leads@example.org'"
            raise UsageError(finding, hint=hint, variable=name)
        read[channel] = address
    return read


def _is_channel_address(address: str) -> bool:
    return bool(_ADDRESSES.fullmatch(address)) or _site(address, "http", "https") is not None


def _site(text: str, *schemes: str) -> SplitResult | None:
    """The parts of a URL with a host, of one of these schemes; None for anything else."""
    try:
        parts = urlsplit(text)
        return parts if parts.scheme in schemes and parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def page_url(name: str, text: str) -> str:
    """A URL without a slash at its end. Raises UsageError."""
    if _site(text, "http", "https") is None:
        raise _refused(name, text, "an address with http or https", "https://runs.example.org")
    return text.rstrip("/")


def smtp_url(name: str, text: str) -> str:
    """The address of a mail server. Raises UsageError, which does not quote it: it has a password."""
    if _site(text, "smtp", "smtps") is None:
        hint = f"{name}=smtp://user:password@mail.example.org:587, or smtps:// for TLS from the start"
        raise UsageError(f"{name}: this is not the address of a mail server", hint=hint, variable=name)
    return text


def signing_secret(name: str, text: str) -> str:
    """A key for signatures. Raises UsageError, which does not quote it."""
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(SECRET_PREFIX) or len(key) < MIN_SECRET_BYTES:
        finding = f"{name}: a secret is {SECRET_PREFIX} and at least {MIN_SECRET_BYTES} bytes in Base64"
        raise UsageError(finding, hint=f"{name}={SECRET_PREFIX}$(openssl rand -base64 32)", variable=name)
    return text


def host_name(name: str, text: str) -> str:
    """The name of a host, which becomes part of the name of a task queue. Raises UsageError."""
    if not _NAME.fullmatch(text):
        expected = "a name of at most 63 letters, digits, dots, dashes and underscores"
        raise _refused(name, text, expected, "site-3")
    return text


def labels(name: str, text: str) -> tuple[str, ...]:
    """Labels of a host. Raises UsageError for one that is not a name."""
    return tuple(host_name(name, word) for word in text.split())


def codec_mode(name: str, text: str) -> str:
    """How payloads are written. Raises UsageError for another word."""
    if text.lower() not in ("off", "mac", "aead"):
        raise UsageError(f"{name}: {text!r} is none of off, mac, aead", hint="set it to mac", variable=name)
    return text.lower()


def outbox_full(name: str, text: str) -> str:
    """What a full outbox does. Raises UsageError for another word."""
    if text.lower() not in ("wait", "oldest", "newest"):
        finding = f"{name}: {text!r} is none of wait, oldest, newest"
        raise UsageError(finding, hint="leave it out for wait", variable=name)
    return text.lower()


def key_source(name: str, text: str) -> str:
    """Where keys are. Raises UsageError, which does not quote it: it may be a key by mistake."""
    if not re.fullmatch(r"env:[A-Za-z_]\w*|file:/.+", text):
        finding = f"{name}: keys are at file:/PATH or at env:NAME"
        raise UsageError(finding, hint=f"set {name}=file:/etc/perdure/payload.keys, say", variable=name)
    return text


def local_data(name: str, text: str) -> dict[str, Path]:
    """Files and folders by the names under which agents open them. Raises UsageError.

    A path with a space is in quotes, as for a shell.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{name}: {error}", hint=_DATA_HINT, variable=name) from None
    return dict(named_path(name, word) for word in words)


def named_path(name: str, word: str) -> tuple[str, Path]:
    """The name and the path of ``NAME=PATH``. Raises UsageError."""
    data, equals, path = word.partition("=")
    if not equals or not path or not _NAME.fullmatch(data):
        raise UsageError(f"{name}: {word!r} is not NAME=PATH", hint=_DATA_HINT, variable=name)
    return data, Path(path).absolute()
