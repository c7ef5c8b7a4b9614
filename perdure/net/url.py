"""URLs as JavaScript's `new URL(text)` reads and writes them, for http and https.

Source: the WHATWG URL standard, "URL parsing" and "host parsing". Text that graphs written for
GraphAI use, such as ``HTTP://日本.jp/a/../b c``, thereby means the same request here.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

DEFAULT_PORTS = {"http": 80, "https": 443}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(.*)", re.DOTALL)
_FORBIDDEN_IN_HOST = re.compile("[\x00-\x20#%/:<>?@\\[\\\\\\]^|\x7f]")
_C0 = "".join(map(chr, range(0x20))) + "\x7f"
_FRAGMENT = frozenset(_C0 + ' "<>`')
_QUERY = frozenset(_C0 + " \"#<>'")
_PATH = frozenset(_C0 + ' "#<>?`{}')
_USER = frozenset(_C0 + ' "#<>?`{}^/:;=@[\\]|')
_SINGLE_DOT = frozenset({".", "%2e"})
_DOUBLE_DOT = frozenset({"..", ".%2e", "%2e.", "%2e%2e"})


@dataclass(frozen=True, kw_only=True)
class Url:
    """A parsed URL; its text is the normal form. `port` is None where it is the scheme's own."""

    scheme: str
    user: str = ""
    host: str
    port: int | None = None
    path: str = "/"
    query: str | None = None
    fragment: str | None = None

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        port = "" if self.port is None else f":{self.port}"
        query = "" if self.query is None else f"?{self.query}"
        fragment = "" if self.fragment is None else f"#{self.fragment}"
        return f"{self.scheme}://{user}{self.host}{port}{self.path}{query}{fragment}"


def parse(text: str) -> Url:
    """The URL that `text` is. Raises ValueError ("Invalid URL", as in JavaScript) where it is none.

    Schemes other than http and https are invalid here: no agent may follow them.
    """
    stripped = re.sub("[\t\n\r]", "", text.strip(_C0 + " "))
    match = _SCHEME.fullmatch(stripped)
    if not match:
        raise ValueError("Invalid URL")
    scheme = match[1].lower()
    if scheme not in DEFAULT_PORTS:
        raise ValueError(f"Invalid URL: only http and https are possible, not {scheme}")
    rest, sharp, fragment = match[2].partition("#")
    rest, mark, query = rest.partition("?")
    authority, _, path = rest.replace("\\", "/").lstrip("/").partition("/")
    user, _, place = authority.rpartition("@")
    host, port = _host_and_port(place, scheme)
    return Url(
        scheme=scheme,
        user=_user(user),
        host=host,
        port=port,
        path=_path(path),
        query=_encode(query, _QUERY) if mark else None,
        fragment=_encode(fragment, _FRAGMENT) if sharp else None,
    )


def _user(text: str) -> str:
    name, colon, password = text.partition(":")
    return _encode(name, _USER) + (colon + _encode(password, _USER) if password else "")


def _host_and_port(text: str, scheme: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(\[[^\]]*\]|[^:\[]*)(?::([0-9]*))?", text)
    if not match or not match[1]:
        raise ValueError("Invalid URL")
    port = int(match[2]) if match[2] else None
    if port is not None and port > 65535:
        raise ValueError("Invalid URL")
    return _host(match[1]), None if port == DEFAULT_PORTS[scheme] else port


def _host(text: str) -> str:
    if text.startswith("["):
        return f"[{_ipv6(text[1:-1])}]"
    name = unquote_to_bytes(text.encode("utf-8", "replace")).decode("utf-8", "replace")
    name = _to_ascii(name)
    if not name or _FORBIDDEN_IN_HOST.search(name):
        raise ValueError("Invalid URL")
    labels = name.removesuffix(".").split(".")
    if labels[-1].isdigit() or re.fullmatch("0[xX][0-9a-fA-F]*", labels[-1]):
        return _ipv4(labels)
    return name


def _to_ascii(name: str) -> str:
    """`name` in lower case, with the labels of other scripts in punycode (UTS #46, lenient)."""
    if name.isascii():
        return name.lower()
    import idna  # noqa: PLC0415 -- its tables are large, and rarely needed

    try:
        mapped = idna.uts46_remap(name, std3_rules=False, transitional=False)
    except idna.IDNAError:
        raise ValueError("Invalid URL") from None
    labels = mapped.split(".")
    return ".".join(
        label if label.isascii() else "xn--" + label.encode("punycode").decode() for label in labels
    )


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise ValueError("Invalid URL") from None
    if address.scope_id:
        raise ValueError("Invalid URL")
    if address.ipv4_mapped:
        packed = address.packed
        return f"::ffff:{packed[12] << 8 | packed[13]:x}:{packed[14] << 8 | packed[15]:x}"
    return address.compressed


def _ipv4(parts: list[str]) -> str:
    """An address of one to four numbers, each decimal, octal (0…) or hexadecimal (0x…)."""
    if len(parts) > 4:
        raise ValueError("Invalid URL")
    numbers = [_ipv4_number(part) for part in parts]
    last = numbers.pop()
    if any(number > 255 for number in numbers) or last >= 256 ** (4 - len(numbers)):
        raise ValueError("Invalid URL")
    value = last + sum(number * 256 ** (3 - index) for index, number in enumerate(numbers))
    return str(ipaddress.IPv4Address(value))


def _ipv4_number(text: str) -> int:
    base, digits = 10, text
    if text[:2].lower() == "0x":
        base, digits = 16, text[2:] or "0"
    elif len(text) > 1 and text[0] == "0":
        base, digits = 8, text[1:]
    if not re.fullmatch("[0-9a-fA-F]{1,20}", digits):
        raise ValueError("Invalid URL")
    try:
        return int(digits, base)
    except ValueError:
        raise ValueError("Invalid URL") from None


def _path(text: str) -> str:
    """`text` below the root, percent-encoded, without its dot segments."""
    segments: list[str] = []
    parts = text.split("/")
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part.lower() in _DOUBLE_DOT:
            del segments[-1:]
        elif part.lower() not in _SINGLE_DOT:
            segments.append(_encode(part, _PATH))
            continue
        if last:
            segments.append("")
    return "/" + "/".join(segments)


def _encode(text: str, reserved: frozenset[str]) -> str:
    if text.isascii() and reserved.isdisjoint(text):
        return text
    return "".join(char if char.isascii() and char not in reserved else _percent(char) for char in text)


def _percent(char: str) -> str:
    if "\ud800" <= char <= "\udfff":
        char = "\ufffd"
    return "".join(f"%{byte:02X}" for byte in char.encode())
