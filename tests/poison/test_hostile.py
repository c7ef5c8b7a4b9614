"""The hostile server says all it has to say: a case tests its answer, and not a broken connection."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from tests.poison.hostile import hostile

HEAD = b"POST /model/deep/v1/chat/completions HTTP/1.1\r\nContent-Length: 100\r\n\r\n"


def test_it_reads_a_request_that_comes_in_pieces_before_it_answers_and_hangs_up() -> None:
    with hostile() as url:
        place = urlsplit(url)
        with socket.create_connection((place.hostname, place.port), timeout=0.1) as connection:
            connection.sendall(HEAD)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            connection.settimeout(10)
            connection.sendall(b"x" * 100)
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.endswith(b"\r\n\r\n" + b"[" * 500_000)
