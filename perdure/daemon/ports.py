"""Ports of this machine: which are free, and whether anyone listens."""

from __future__ import annotations

import os
import socket


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port of `host`, an address of this machine, that no process listens on now.

    It lies below the ports that systems give to outgoing connections: a client that keeps trying
    to reach a daemon that is down could otherwise be assigned the daemon's own port, and keep it.

    Raises:
        OSError: the machine has no such address.
    """
    for _ in range(100):
        port = 12_000 + int.from_bytes(os.urandom(2)) % 20_000
        if is_free(host, port):
            return port
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def is_free(host: str, port: int) -> bool:
    """Whether a daemon could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that linger do not matter
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def answers(address: str, timeout: float = 1.0) -> bool:
    """Whether something accepts connections at "host:port"."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout).close()
    except OSError:
        return False
    return True
