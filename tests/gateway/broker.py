"""An MQTT broker of the tests: mosquitto, with its data in a folder."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from perdure.gateway.routes import Message

UP_LIMIT_S = 120


def installed() -> bool:
    return _program() is not None


def _program() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


def message(topic: str, body: Any) -> Message:
    return Message(topic=topic, body=body)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def running(folder: Path, port: int | None = None) -> Iterator[int]:
    """A broker that keeps its data, on a port."""
    process, port = _started_anywhere(folder) if port is None else (started(folder, port), port)
    try:
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(UP_LIMIT_S)


def _started_anywhere(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """On a port that is free, also if another process takes the first ones meanwhile."""
    for _ in range(5):
        port = free_port()
        with suppress(AssertionError):
            return started(folder, port), port
    raise AssertionError("mosquitto does not start")


def started(folder: Path, port: int) -> subprocess.Popen[bytes]:
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\nmax_inflight_messages 0\n"
        f"persistence_location {folder}/\nautosave_interval 1\nautosave_on_changes true\n"
        f"max_queued_messages 0\nuser root\nlog_dest none\n"
    )
    program = _program()
    assert program is not None
    process = subprocess.Popen([program, "-c", str(config)])
    until = time.monotonic() + UP_LIMIT_S
    while time.monotonic() < until:
        assert process.poll() is None, f"mosquitto ended with {process.returncode}"
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.05)
    raise TimeoutError("mosquitto does not listen")


async def published(port: int, rows: Sequence[tuple[str, Any]]) -> None:
    """Publishes messages of QoS 1, and returns when the broker has them."""
    await asyncio.to_thread(_publish, port, rows)


def _publish(port: int, rows: Sequence[tuple[str, Any]]) -> None:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2, "publisher", clean_session=False)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for info in [client.publish(topic, json.dumps(body), qos=1) for topic, body in rows]:
        info.wait_for_publish(UP_LIMIT_S)
    client.disconnect()
    client.loop_stop()
