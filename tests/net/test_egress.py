"""The way out of a worker: which addresses and URLs graphs may reach."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from perdure.errors import AgentError, FinalError, TransientError
from perdure.net import url
from perdure.net.egress import Guard, GuardedTransport, is_own, is_public
from tests.support.servers import Answer, serve

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]

INSIDE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.8.8.8",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2001::1",
    "2001:db8::1",
    "2002:a9fe:a9fe::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "not an address",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", INSIDE)
def test_inside(address: str) -> None:
    assert not is_public(address)


LITERALS = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0/",
    "http://127.0.0.1./",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://１２７.0.0.1/",
    "http://127。0。0。1/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/",
    "http://168.63.129.16/",
    "http://10.1.2.3/",
    "http://100.100.100.200/",
    "http://192.0.0.192/",
    "http://0.0.0.0/",
    "http://%31%32%37.0.0.1/",
]


@pytest.mark.anyio
@pytest.mark.parametrize("text", LITERALS)
@pytest.mark.parametrize("normal", [True, False], ids=["normal", "raw"])
async def test_literals_of_the_inside_are_refused(text: str, normal: bool) -> None:
    async with httpx2.AsyncClient(transport=GuardedTransport(Guard())) as client:
        # A host that is not normalised may also fail to be a name at all.
        with pytest.raises((AgentError, httpx2.InvalidURL)) as caught:
            await client.get(str(url.parse(text)) if normal else text)
    if normal:
        assert isinstance(caught.value, FinalError)
        assert "PERDURE_ALLOW_HOSTS" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("file:///etc/passwd", "http and https only"),
        ("gopher://example.com/", "http and https only"),
        ("//example.com/", "http and https only"),
        ("http:///x", "http and https only"),
        ("http://user:secret@example.com/", "user name or password"),
        ("http://example.com:22/", "port 22 is neither 80 nor 443"),
        ("https://example.com:8443/", "port 8443"),
        ("http://exa mple.com:http/", "not a URL"),
        ("http://example.com:99999/", "has port 99999: ports are 1 to 65535"),
        ("http://example.com:0/", "has port 0"),
    ],
)
def test_urls_that_no_address_makes_right(text: str, finding: str) -> None:
    with pytest.raises(FinalError, match=finding) as caught:
        Guard().check(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "host", "port", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1", 9000, True),
        ("127.0.0.1:9000", "127.0.0.1", 9000, True),
        ("127.0.0.1:9000", "127.0.0.1", 9001, False),
        ("LocalHost.:80", "localhost", 80, True),
        ("::1", "[::1]", 80, True),
        ("[::1]:9000", "[::1]", 9000, True),
        ("[::1]:9000", "[::1]", 80, False),
        ("example.com", "sub.example.com", 9000, False),
    ],
)
def test_allow_list(entry: str, host: str, port: int, allowed: bool) -> None:
    guard = Guard.of([entry])
    parsed = httpx2.URL(f"http://{host}:{port}/")
    assert guard._allows(parsed.raw_host.decode().strip("[]"), port) is allowed


@pytest.mark.anyio
async def test_an_allowed_host_is_reached_by_its_name() -> None:
    with serve(lambda seen: Answer(body=seen.headers["host"].encode())) as server:
        place = f"localhost:{server.port}"
        async with httpx2.AsyncClient(transport=GuardedTransport(Guard.of([place]))) as client:
            answer = await client.get(f"http://{place}/x")
    assert answer.text == place
    assert str(answer.request.url) == f"http://{place}/x"


@pytest.mark.anyio
async def test_one_address_inside_spoils_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*addresses: str) -> None:
        records = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: records)

    answer("93.184.216.34", "127.0.0.1")
    with pytest.raises(FinalError, match=r"rebound\.example:80 .* 127\.0\.0\.1 is not a public address"):
        await Guard().addresses("rebound.example", 80)
    answer("93.184.216.34", "93.184.216.35")
    assert await Guard().addresses("fine.example", 80) == ["93.184.216.34", "93.184.216.35"]


OWN = """
import asyncio
from perdure.errors import FinalError
from perdure.net.egress import Guard

async def said(guard, address):
    try:
        return await guard.addresses(address, 80)
    except FinalError as error:
        return str(error).partition("\\n")[0]

for allowed, address in ((), "8.8.4.4"), (("8.8.4.4:80",), "8.8.4.4"), ((), "8.8.8.8"):
    print(asyncio.run(said(Guard.of(allowed), address)))
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs network namespaces")
@pytest.mark.parametrize("binds_anything", [0, 1])
def test_a_public_address_of_this_machine_is_inside(binds_anything: int) -> None:
    """In a network of its own, whose loopback interface has such an address."""
    script = (
        f"ip link set lo up && ip addr add 8.8.4.4/32 dev lo && "
        f"sysctl -qw net.ipv4.ip_nonlocal_bind={binds_anything} && exec {sys.executable} -c '{OWN}'"
    )
    done = subprocess.run(["unshare", "-rn", "sh", "-c", script], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no network of its own: {done.stderr[-200:]}")
    refused = "8.8.4.4:80 is out of bounds for graphs: 8.8.4.4 is an address of this machine"
    own = (
        "['8.8.4.4']" if binds_anything else refused
    )  # then they cannot be distinguished, and nothing is refused
    assert done.stdout.splitlines() == [own, "['8.8.4.4']", "['8.8.8.8']"]


def test_addresses_of_this_machine() -> None:
    assert is_own("127.0.0.1")
    assert not any(map(is_own, [*PUBLIC, "240.0.0.1", "no address"]))


@pytest.mark.anyio
async def test_a_name_is_looked_up_once_for_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that turns to loopback after the check is connected to where it was checked."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def lookup(host: Any, *rest: Any, **more: Any) -> Any:
        if host == "turning.example":
            asked.append(host)
            return real("127.0.0.1" if len(asked) == 1 else "127.0.0.9", *rest, **more)
        return real(host, *rest, **more)

    with serve(lambda _: Answer(body=b"checked")) as server:
        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        guard = Guard.of([f"turning.example:{server.port}"])
        async with httpx2.AsyncClient(transport=GuardedTransport(guard)) as client:
            answer = await client.get(f"http://turning.example:{server.port}/")
    assert (answer.text, asked) == ("checked", ["turning.example"])


@pytest.mark.anyio
async def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda _: Answer(body=b"second")) as server:
        records = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, server.port))
            for address in ("127.0.0.2", "127.0.0.1")
        ]
        real = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *a, **k: records if host == "two.example" else real(host, *a, **k),
        )
        guard = Guard.of([f"two.example:{server.port}"])
        async with httpx2.AsyncClient(transport=GuardedTransport(guard)) as client:
            assert (await client.get(f"http://two.example:{server.port}/")).text == "second"


@pytest.mark.anyio
@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL])
async def test_a_name_that_does_not_resolve_may_later(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def lookup(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(code, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(TransientError, match=r"service\.internal does not resolve: no such name\n.*deadline"):
        await Guard().addresses("service.internal", 80)


URLS = [
    ("https://EXAMPLE.com:443/p/../q", "https://example.com/q"),
    ("http://日本.jp/ü?q=é", "http://xn--wgv71a.jp/%C3%BC?q=%C3%A9"),
    ("http:\\\\a.com\\b", "http://a.com/b"),
    (" \thttp://a.com/\n", "http://a.com/"),
    ("http:example.com", "http://example.com/"),
    ("http://a.com/a/%2e%2E/b", "http://a.com/b"),
    ("http://a.com/a/b/../../../c", "http://a.com/c"),
    ("http://a.com/a/..", "http://a.com/"),
    ("http://a.com/a b?x=<>\"'`{}#<>`", "http://a.com/a%20b?x=%3C%3E%22%27`{}#%3C%3E%60"),
    ("http://a.com?", "http://a.com/?"),
    ("http://user@@a.com", "http://user%40@a.com/"),
    ("http://a.com\\@b.com/", "http://a.com/@b.com/"),
    ("http://straße.de", "http://xn--strae-oqa.de/"),
    ("http://💩.la/", "http://xn--ls8h.la/"),
    ("http://1.2.3/", "http://1.2.0.3/"),
    ("http://0x/", "http://0.0.0.0/"),
    ("http://[2001:db8:0:0:1:0:0:1]/", "http://[2001:db8::1:0:0:1]/"),
    ("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/"),
    ("http://a.com/é/\ud800", "http://a.com/%C3%A9/%EF%BF%BD"),
]


@pytest.mark.parametrize(("text", "expected"), URLS)
def test_url_normal_form(text: str, expected: str) -> None:
    assert str(url.parse(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a url",
        "http://",
        "http://a b.com/",
        "http://a.com:99999/",
        "http://a.com:8x/",
        "http://256.1.1.1/",
        "http://1.2.3.4.5/",
        "http://08.1/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://a%2f.com/",
        "http://a%00.com/",
        "ftp://a.com/",
    ],
)
def test_url_invalid(text: str) -> None:
    with pytest.raises(ValueError, match="Invalid URL"):
        url.parse(text)


def test_no_module_but_settings_reads_the_environment() -> None:
    folder = Path(url.__file__).parent
    assert not [path.name for path in folder.glob("*.py") if "os.environ" in path.read_text()]
