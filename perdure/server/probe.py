"""Whether a Temporal server serves, asked over gRPC without a gRPC library.

Loading the SDK takes some 0.4 s. One request with one known answer needs little of HTTP/2: the
preface, three frames out, and a look at the kinds of the frames that come back.
"""

from __future__ import annotations

import socket
from typing import BinaryIO

DATA, HEADERS, RESET, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
ACK = END_STREAM = 1
END_HEADERS = 4
PATH = "/temporal.api.workflowservice.v1.WorkflowService/DescribeNamespace"


def serves(address: str, namespace: str = "default", timeout: float = 2.0) -> bool:
    """Whether the server at "host:port" answers and has the namespace. Takes 1-7 ms when it does."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(_request(address, namespace))
            with connection.makefile("rb") as answer:
                return _has_data(connection, answer)
    except OSError:
        return False


def _request(address: str, namespace: str) -> bytes:
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": PATH,
        ":authority": address,
        "content-type": "application/grpc",
        "te": "trailers",
    }
    block = b"".join(b"\0" + _text(name) + _text(value) for name, value in headers.items())
    field = b"\x0a" + _text(namespace)  # protobuf: field 1, a string
    message = b"\0" + len(field).to_bytes(4) + field
    return (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + _frame(SETTINGS, 0, 0)
        + _frame(HEADERS, END_HEADERS, 1, block)
        + _frame(DATA, END_STREAM, 1, message)
    )


def _text(value: str) -> bytes:
    # One length byte, as HPACK and protobuf have it up to 126.
    return bytes([len(value)]) + value.encode("ascii")


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _has_data(connection: socket.socket, answer: BinaryIO) -> bool:
    """A description comes in a DATA frame; an error comes in headers alone."""
    while len(head := answer.read(9)) == 9:
        kind, flags = head[3], head[4]
        answer.read(int.from_bytes(head[:3]))
        if kind == SETTINGS and not flags & ACK:
            connection.sendall(_frame(SETTINGS, ACK, 0))
        if kind == DATA:
            return True
        if kind in (RESET, GOAWAY) or (kind == HEADERS and flags & END_STREAM):
            return False
    return False
