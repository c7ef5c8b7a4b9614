"""Hosts on one machine: network namespaces with a wire each, which can be cut. They need root and `ip`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NAMED = Path("/var/run/netns")
"""Where the system has a file for each namespace."""


def lacks_namespaces() -> str:
    """Why there can be no wire here, if so."""
    if shutil.which("ip") is None:
        return "no program `ip`"
    name = f"perdure-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return made.stderr.strip()


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass(frozen=True)
class Host:
    """A namespace. `prefix` starts a command in it; `near` is this machine's end of its wire."""

    space: str
    near: str

    @property
    def prefix(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.space)

    @property
    def id(self) -> int:
        """The number by which a process in the namespace knows it."""
        return NAMED.joinpath(self.space).stat().st_ino

    def cut(self) -> None:
        """Packets vanish without a word."""
        ip("link", "set", self.near, "down")

    def heal(self) -> None:
        ip("link", "set", self.near, "up")


@contextmanager
def hosts(names: Sequence[str]) -> Iterator[tuple[str, dict[str, Host]]]:
    """The address of this machine on a bridge, and hosts that are connected to it."""
    own = os.getpid() % 16_000
    bridge, net = f"pb{own}", f"198.19.{own % 256}"
    made = {name: Host(f"perdure-{own}-{name}", f"pn{own}-{index}") for index, name in enumerate(names)}
    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("address", "add", f"{net}.1/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for index, host in enumerate(made.values()):
            far = f"pf{own}-{index}"
            ip("netns", "add", host.space)
            ip("link", "add", host.near, "type", "veth", "peer", "name", far, "netns", host.space)
            ip("link", "set", host.near, "master", bridge, "up")
            for words in (
                ("link", "set", "lo", "up"),
                ("address", "add", f"{net}.{index + 2}/24", "dev", far),
                ("link", "set", far, "up"),
            ):
                ip("-n", host.space, *words)
        yield f"{net}.1", made
    finally:
        for host in made.values():
            subprocess.run(["ip", "netns", "del", host.space], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", bridge], capture_output=True, check=False)
