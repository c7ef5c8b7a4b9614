"""Sends what is in the outbox of a device to the HTTP gateway of its hub, whenever that answers.

Invariants
    An event leaves the outbox when the gateway has said that Temporal has it, or that it never will. Until
    then it is sent again, under the same id: a process that dies between the two changes nothing.
    Events of one topic and key are sent in their order. Those that the hub cannot take now hold up no others.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpx2

from perdure.engine.inbox.events import MAX_BATCH_EVENT_COUNT
from perdure.errors import ConnectionFailed, TransientError
from perdure.graph.text.json_dump import dump
from perdure.graph.text.shown import message
from perdure.graph.values import Value, is_dict
from perdure.storage.outbox import Outbox, OutboxEvent

MAX_UPLINK_BATCH_BYTES: Final = 300_000
"""Bytes of the events of a request."""

UPLINK_TIMEOUT_S: Final = 60.0
"""Seconds for which a request may go without an answer; the gateway answers within 30."""

OUTBOX_POLL_INTERVAL_S: Final = 0.5
"""Seconds between two looks at an outbox that was empty."""

MAX_UPLINK_PAUSE_S: Final = 30.0
"""Seconds until a hub that did not answer is tried again, at most."""

_AGAIN: Final = "again"

_ONE_TO_BLAME: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.INTERNAL_SERVER_ERROR,
)
"""Answers to a request as a whole for which one event of it may be the reason."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Uplink:
    """Sends the events of an outbox to the gateway at `url`, as events of the sender `name`.

    `token_file` holds the token of the gateway; it is read for each request, so that it can be replaced.
    """

    outbox: Outbox
    url: str
    token_file: Path
    name: str
    _failure: str = field(default="", repr=False)

    async def run(self) -> None:
        """Sends until it is cancelled, at any moment."""
        pause_s = OUTBOX_POLL_INTERVAL_S
        async with httpx2.AsyncClient(timeout=UPLINK_TIMEOUT_S, trust_env=False) as client:
            while True:
                try:
                    held_up = await self.round(client)
                except (ConnectionFailed, TransientError) as error:
                    await self._noted(str(error))
                    held_up = True
                pause_s = min(2 * pause_s, MAX_UPLINK_PAUSE_S) if held_up else OUTBOX_POLL_INTERVAL_S
                await asyncio.sleep(pause_s * random.uniform(0.7, 1.0))

    async def round(self, client: httpx2.AsyncClient) -> bool:
        """Sends all that waits, and says whether the hub could not take some of it now.

        Raises ConnectionFailed where the hub does not answer, TransientError where the outbox cannot be used.
        """
        held_up: set[tuple[str, str]] = set()
        after, room = 0, (MAX_BATCH_EVENT_COUNT, MAX_UPLINK_BATCH_BYTES)
        while rows := await asyncio.to_thread(self.outbox.waiting, after, *room):
            after = rows[-1].number
            batch = [row for row in rows if (row.event.topic, row.event.key) not in held_up]
            if batch and not await self._brought(client, batch, held_up):
                raise ConnectionFailed(f"the hub {self.url} fails over all that it is sent: it answers 500")
        return bool(held_up)

    async def _brought(
        self, client: httpx2.AsyncClient, batch: Sequence[OutboxEvent], held_up: set[tuple[str, str]]
    ) -> bool:
        """Settles what the hub says of a batch; False where it says nothing of any of them.

        A batch that it cannot read, or fails over, is sent in halves: one event may be to blame.
        """
        batch = [row for row in batch if (row.event.topic, row.event.key) not in held_up]
        if not batch:
            return False
        status, result = await self._posted(client, batch)
        if status in _ONE_TO_BLAME and len(batch) > 1:
            half = len(batch) // 2
            first = await self._brought(client, batch[:half], held_up)
            return await self._brought(client, batch[half:], held_up) or first
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            held_up.add((batch[0].event.topic, batch[0].event.key))
            return False
        refusals = {0: _reason(result)} if status in _ONE_TO_BLAME else self._refusals(status, result, batch)
        sent = [row.number for index, row in enumerate(batch) if index not in refusals]
        refused: list[tuple[int, str]] = []
        for index, why in refusals.items():
            event = batch[index].event
            if why == _AGAIN:
                held_up.add((event.topic, event.key))
            else:
                refused.append((batch[index].number, why))
                logger.warning("the hub refuses event %r of %r: %s", event.id, event.topic, why)
        await asyncio.to_thread(self.outbox.settle, sent, refused)
        await self._noted("")
        return True

    async def _posted(self, client: httpx2.AsyncClient, batch: Sequence[OutboxEvent]) -> tuple[int, Value]:
        """The status and the JSON of the hub's answer."""
        try:
            headers = {
                "authorization": f"Bearer {self.token_file.read_text().strip()}",
                "content-type": "application/json",
            }
            body = dump({"events": [self._row(row) for row in batch]})
            answer = await client.post(f"{self.url}/events", content=body, headers=headers)
        except OSError as error:
            raise ConnectionFailed(f"the token of the hub cannot be read: {error}") from error
        except httpx2.HTTPError as error:
            finding = str(error) or type(error).__name__
            raise ConnectionFailed(f"the hub {self.url} does not answer: {finding}") from error
        try:
            result: Value = answer.json()
        except ValueError as error:
            if answer.status_code in (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.INTERNAL_SERVER_ERROR):
                return answer.status_code, None  # a proxy, or a gateway that has failed
            raise ConnectionFailed(f"{self.url} is not a gateway: its answer is not JSON") from error
        if answer.status_code == HTTPStatus.BAD_REQUEST and _finding(result) is None:
            raise ConnectionFailed(f"the hub {self.url} answers 400: {_reason(result)}")
        return answer.status_code, result

    def _refusals(self, status: int, result: Any, batch: Sequence[OutboxEvent]) -> dict[int, str]:
        """Those that Temporal does not have, by their index: "again", or why they are refused."""
        try:
            if status not in (200, 422, 503):
                raise ConnectionFailed(f"the hub {self.url} answers {status}: {_reason(result)}")
            refused = {int(entry["index"]): str(entry["error"]) for entry in result["refused"]}
            if result["taken"] != len(batch) - len(refused) or not refused.keys() <= set(range(len(batch))):
                raise ValueError
        except (KeyError, TypeError, ValueError) as error:
            raise ConnectionFailed(
                f"{self.url} is not a gateway: its answer does not say what it has"
            ) from error
        return refused

    def _row(self, row: OutboxEvent) -> dict[str, Value]:
        event = row.event
        named: dict[str, Value] = {"topic": event.topic, "key": event.key, "id": event.id, "body": event.body}
        return {**named, "from": self.name, **({"at": event.at} if event.at else {})}

    async def _noted(self, why: str) -> None:
        """Keeps for `perdure edge status` how the hub is, and logs each change."""
        if why and why != self._failure:
            logger.warning("%s; what waits is kept", message(why))
        elif self._failure and not why:
            logger.warning("the hub %s answers again", self.url)
        self._failure = why
        with suppress(TransientError):
            await asyncio.to_thread(self.outbox.note, self.url, why)


def _reason(result: Value) -> str:
    return _finding(result) or "no gateway of Perdure"


def _finding(result: Value) -> str | None:
    error: Value = result.get("error") if is_dict(result) else None
    return str(error["finding"]) if is_dict(error) and "finding" in error else None
