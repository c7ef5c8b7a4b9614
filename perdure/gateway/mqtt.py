"""The MQTT gateway: a subscription whose messages are acknowledged when Temporal has them.

The session is kept by the broker (a fixed client id, no clean start) and messages are of QoS 1: what was not
acknowledged when the gateway dies is delivered again, and counts once by its id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from perdure.errors import ConnectionFailed, PerdureError
from perdure.gateway.delivery import Delivery, refusal_of
from perdure.gateway.routes import Message, Routes
from perdure.graph.javascript import parse
from perdure.graph.values import Value

RECEIVE_MAXIMUM_COUNT: Final = 1_000
"""Messages that the broker may send before the first of them is acknowledged."""

SESSION_EXPIRY_S: Final = 7 * 86_400
"""Seconds that the broker keeps messages for a gateway that is away."""

RECONNECT_MAX_S: Final = 5

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class MqttGateway:
    """Subscribes to the topics of the routes, and delivers what comes. `refused` gets what no run takes.

    `subscribed` is set once the broker keeps messages for it.
    """

    routes: Routes
    delivery: Delivery
    host: str
    port: int
    client_id: str
    username: str = ""
    password: str = ""
    tls: bool = False
    refused: Callable[[str, bytes, str], None] | None = None
    subscribed: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def run(self, stopped: asyncio.Event) -> None:
        """Serves until `stopped`. Raises ConnectionFailed where the broker cannot be reached at first."""
        loop = asyncio.get_running_loop()
        client = self._client(loop)
        properties = Properties(PacketTypes.CONNECT)
        properties.ReceiveMaximum = RECEIVE_MAXIMUM_COUNT
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        try:
            await asyncio.to_thread(
                client.connect, self.host, self.port, clean_start=False, properties=properties
            )
        except OSError as error:
            raise ConnectionFailed(
                f"no MQTT broker answers at {self.host}:{self.port}: {error}", hint="mqtt HOST[:PORT]"
            ) from error
        client.loop_start()
        try:
            await stopped.wait()
        finally:
            await asyncio.to_thread(client.disconnect)
            await asyncio.to_thread(client.loop_stop)
            for task in [*self._tasks]:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _client(self, loop: asyncio.AbstractEventLoop) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, self.client_id, protocol=MQTTv5, manual_ack=True)
        client.reconnect_delay_set(1, RECONNECT_MAX_S)
        if self.username:
            client.username_pw_set(self.username, self.password)
        if self.tls:
            client.tls_set()  # pyright: ignore[reportUnknownMemberType] -- paho's

        def connected(client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
            del data, flags, properties
            if reason.is_failure:
                logger.error("the broker refused the connection: %s", reason)
                return
            client.subscribe([(topic, 1) for topic in self.routes.topics])
            logger.info("subscribed to %s", ", ".join(self.routes.topics))

        def arrived(client: Client, data: Any, message: MQTTMessage) -> None:
            del data
            loop.call_soon_threadsafe(self._begin, client, message)

        def subscribed(*_: Any) -> None:
            loop.call_soon_threadsafe(self.subscribed.set)

        client.on_connect, client.on_subscribe, client.on_message = connected, subscribed, arrived
        return client

    def _begin(self, client: Client, message: MQTTMessage) -> None:
        task = asyncio.ensure_future(self._deliver(client, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, client: Client, message: MQTTMessage) -> None:
        try:
            target = self.routes.target(_message(message))
        except Exception as error:
            self.delivery.counts["refused"] += 1
            self._refuse(message, error)
        else:
            try:
                await self.delivery.deliver(target)
            except PerdureError as error:
                self._refuse(message, error)
        client.ack(message.mid, message.qos)

    def _refuse(self, message: MQTTMessage, error: Exception) -> None:
        why = refusal_of(error)
        logger.error("an event of %r is refused: %s", message.topic, why)
        if self.refused is not None:
            self.refused(message.topic, bytes(message.payload), why)


def _message(message: MQTTMessage) -> Message:
    """The body is JSON where it can be read so, else a string."""
    text = message.payload.decode("utf-8", "replace")
    try:
        body: Value = parse(text)
    except ValueError:
        body = text
    return Message(topic=message.topic, body=body)
