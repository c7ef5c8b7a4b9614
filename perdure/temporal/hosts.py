"""Which hosts are there: workers that were started with a name, and with labels.

A worker with a name serves a task queue of its own, ``@NAME``, and is seen on one task queue to which no call
ever goes. The server lists who asks that queue for work, under identities that hold name and labels.
Rejected: a registry, a run to which hosts report. It would be one more thing to operate, and each report an
event in its history.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from perdure.errors import ConnectionFailed
from perdure.temporal.queues import workers
from perdure.temporal.unserved import HOST_MARK
from perdure.version import VERSION

PRESENCE_QUEUE: Final = "perdure.hosts"
"""The task queue on which hosts are seen."""

_IDENTITY: Final = re.compile(r"[^+]*\+(?P<host>[\w.-]+)(?P<labels>(\+[\w.-]+)*)")


@dataclass(frozen=True, slots=True)
class HostWorker:
    """A host that is there, with its labels."""

    id: str
    labels: tuple[str, ...]

    @property
    def queue(self) -> str:
        """Its own task queue."""
        return host_queue(self.id)


def host_queue(host: str) -> str:
    """The task queue of the host with this name."""
    return f"{HOST_MARK}{host}"


@activity.defn(name="perdure.present")
async def _present() -> None:
    """Is never called: a worker needs an activity to be seen."""


def presence(client: Client, host: str, labels: Collection[str], data: Collection[str] = ()) -> Worker:
    """A worker by which the host is seen as long as it runs, with its labels and the names of its `data`."""
    return Worker(
        client,
        task_queue=PRESENCE_QUEUE,
        activities=[_present],
        max_concurrent_activities=1,
        build_id=VERSION,
        identity="+".join([client.identity.partition("+")[0], host, *labels, *map(data_label, data)]),
    )


async def hosts(client: Client) -> list[HostWorker]:
    """All hosts that are there, by name. Raises ConnectionFailed."""
    labels_by_host: dict[str, set[str]] = {}
    for identity in await workers(client, PRESENCE_QUEUE):
        match = _IDENTITY.fullmatch(identity)
        if match is not None:
            labels_by_host.setdefault(match["host"], set()).update(filter(None, match["labels"].split("+")))
    return [HostWorker(host, tuple(sorted(labels_by_host[host]))) for host in sorted(labels_by_host)]


async def hosts_with_data(data: str) -> list[str]:
    """The names of the hosts that have the local data of this name; none if the server does not answer."""
    with suppress(ConnectionFailed):
        return [host.id for host in await hosts(activity.client()) if data_label(data) in host.labels]
    return []


def data_label(data: str) -> str:
    """The label of hosts that have the local data of this name."""
    return f"data.{data}"
