"""The figures of a report, computed from exported histories alone: nothing of the package is used.

A history is what `temporal workflow show --output json` writes. Questions to people are not looked at, so
what the product calls asked is part of `rest` here.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from google.protobuf.json_format import ParseDict
from temporalio.api.common.v1 import Payloads
from temporalio.api.history.v1 import History

Json = dict[str, Any]
Spans = list[tuple[float, float]]

MODEL = "small"
"""The only model that has prices."""

ENDS = {"COMPLETED", "FAILED", "TIMED_OUT", "CANCELED", "TERMINATED"}


class Written(float):
    """A number with a point, and how it was written."""

    def __new__(cls, text: str) -> Written:
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str


@dataclass
class Activity:
    """What the events say of one activity; times in milliseconds."""

    agent: str
    queue: str
    scheduled: float
    calls: list[Json]
    size: int
    started: float | None = None
    ended: float | None = None
    number: int = 1
    worker: str = ""
    before: str = ""
    failure: str | None = None
    results: list[Any] = field(default_factory=list[Any])
    is_batch: bool = False
    refused: int = 0
    again: int = 0
    about: Json = field(default_factory=dict[str, Any])

    @property
    def host(self) -> str:
        named = self.about.get("host") or (self.queue[1:] if self.queue.startswith("@") else "")
        return (named or self.worker.split("@")[-1].split("+")[0]) if self.worker else ""

    @property
    def took(self) -> tuple[float, float]:
        """The milliseconds of its work, and of its exchange with the store."""
        if self.started is None or self.ended is None:
            return 0.0, 0.0
        took = self.ended - self.started
        transfer = min(self.about.get("got_ms", 0) + self.about.get("put_ms", 0), took)
        return took - transfer, transfer

    @property
    def spans(self) -> tuple[Spans, Spans]:
        """When it worked, and when it exchanged values with the store."""
        if self.started is None or self.ended is None:
            return [], []
        took = self.ended - self.started
        got = min(self.about.get("got_ms", 0), took)
        put = min(self.about.get("put_ms", 0), took - got)
        work = [(self.started + got, self.ended - put)]
        return work, [(self.started, self.started + got), (self.ended - put, self.ended)]


def figures(runs: Mapping[str, Sequence[Json]], prices: Mapping[str, float]) -> Json:
    """Those of these runs, each with the histories of its executions, oldest first.

    `prices` has input and output for a million tokens, worker_hour, gigabyte and run.
    """
    split, seconds, states = dict.fromkeys(("working", "transfer", "waiting", "rest"), 0.0), [], {}
    everything: list[Activity] = []
    moved = {"server": 0, "calls": 0, "got": 0, "put": 0, "cached": 0}
    stored: dict[str, int] = {}
    needed, tokens, money = 0, 0.0, 0.0
    for histories in runs.values():
        events = [event for history in histories for event in history["events"]]
        state = kind(events[-1]).removeprefix("WORKFLOW_EXECUTION_")
        state = state.lower().replace("_", "-") if state in ENDS else "running"
        states[state] = states.get(state, 0) + 1
        began, ended = millis(events[0]["eventTime"]), millis(events[-1]["eventTime"])
        activities = [
            activity for activity in activities_of(events) if not activity.agent.startswith("perdure.")
        ]
        everything += activities
        if state != "running":
            seconds.append((ended - began) / 1000)
            for name, value in split_of(activities, own_spans(events), began, ended).items():
                split[name] += value
        moved["server"] += sum(size_of(history) for history in histories)
        for activity in activities:
            moved["calls"] += activity.size
            for name in ("got", "put", "cached"):
                moved[name] += activity.about.get(name, 0)
            for call, result in zip(activity.calls, activity.results, strict=False):
                if result is not FAILED:
                    needed += len((dumped(call.get("inputs")) + dumped(result)).encode())
        for payload in payloads_of_calls(events):
            stored |= objects_in(payload)
        for result in answers_of(events, activities):
            used, paid = usage_of(result, prices)
            tokens, money = tokens + used, money + paid
    needed += sum(stored.values())
    hours = (
        sum(end - start for activity in everything for span in activity.spans for start, end in span)
        / 3_600_000
    )
    total = moved["server"] + moved["got"] + moved["put"]
    money += hours * prices["worker_hour"] + total / 1e9 * prices["gigabyte"] + len(runs) * prices["run"]
    return {
        "states": states,
        "latency": quantiles(seconds),
        "time": split,
        "agents": {
            name: calls_of(activity) for name, activity in grouped(everything, lambda one: one.agent).items()
        },
        "hosts": hosts_of(everything),
        "bytes": moved | {"needed": needed, "overhead": total / needed if needed else None},
        "tokens": tokens,
        "money": money,
    }


FAILED: Any = object()


def kind(event: Json) -> str:
    return event["eventType"].removeprefix("EVENT_TYPE_")


def millis(text: str) -> float:
    """Whole milliseconds since the epoch, as of events."""
    whole, _, rest = text.rstrip("Z").partition(".")
    parsed = datetime.fromisoformat(f"{whole}+00:00")
    return int(parsed.timestamp()) * 1000 + int((rest or "0").ljust(3, "0")[:3])


def size_of(history: Json) -> int:
    return sum(event.ByteSize() for event in ParseDict(history, History(), ignore_unknown_fields=True).events)


def data_of(payload: Json) -> Any:
    return json.loads(base64.b64decode(payload.get("data", "")) or "null", parse_float=Written)


def metadata_of(payload: Json, name: str) -> Any:
    text = payload.get("metadata", {}).get(f"perdure-{name}")
    return None if text is None else json.loads(base64.b64decode(text))


def payload_size(payloads: Json | None) -> int:
    return 0 if not payloads else ParseDict(payloads, Payloads()).ByteSize()


def dumped(value: Any) -> str:
    """JSON as it was written, with the numbers as they were."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{dumped(key)}:{dumped(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dumped, value)) + "]"
    return value.text if isinstance(value, Written) else json.dumps(value, ensure_ascii=False)


def activities_of(events: Iterable[Json]) -> Iterator[Activity]:
    """The activities of agents, in their order."""
    made: dict[str, Activity] = {}
    for event in events:
        name = kind(event)
        if name == "WORKFLOW_EXECUTION_STARTED":
            yield from made.values()
            made = {}
        if not name.startswith("ACTIVITY_TASK_") or name == "ACTIVITY_TASK_CANCEL_REQUESTED":
            continue
        end = name.removeprefix("ACTIVITY_TASK_")
        data = next(value for key, value in event.items() if key.startswith("activityTask"))
        if end == "SCHEDULED":
            made[event["eventId"]] = scheduled(event, data)
            continue
        activity = made[data["scheduledEventId"]]
        if end == "STARTED":
            activity.started, activity.worker = millis(event["eventTime"]), data.get("identity", "")
            activity.number, activity.before = data.get("attempt", 1), innermost(data.get("lastFailure"))
            continue
        activity.ended = millis(event["eventTime"])
        if end == "COMPLETED":
            complete(activity, data)
        else:
            activity.failure = "cancelled" if end == "CANCELED" else innermost(data.get("failure"))
    yield from made.values()


def scheduled(event: Json, data: Json) -> Activity:
    sent = (data_of(data["input"]["payloads"][0]) if data.get("input") else None) or {}
    shared = sent.get("shared", {}) if "calls" in sent else {}
    calls = [{**shared, **call} for call in sent["calls"]] if "calls" in sent else [sent]
    name, queue = data["activityType"]["name"], data["taskQueue"]["name"]
    size = payload_size(data.get("input"))
    return Activity(name, queue, millis(event["eventTime"]), calls, size, is_batch="calls" in sent)


def complete(activity: Activity, data: Json) -> None:
    activity.size += payload_size(data.get("result"))
    (payload,) = data["result"]["payloads"]
    value = data_of(payload)
    activity.about = metadata_of(payload, "call") or {}
    if activity.is_batch:
        activity.results = [one[1] if one[0] == "completed" else FAILED for one in value]
        activity.refused = sum(one[0] == "failed" for one in value)
        activity.again = sum(one[0] == "again" for one in value)
    else:
        activity.results = [value[0] if "session" in activity.calls[0] else value]


def innermost(failure: Json | None) -> str:
    while failure and "cause" in failure and "applicationFailureInfo" not in failure:
        failure = failure["cause"]
    return (failure or {}).get("message", "").lower()


def own_spans(events: Iterable[Json]) -> tuple[Spans, Spans]:
    """When the run itself has read or written values of the store, and when it has waited for a worker."""
    spans, waits = list[tuple[float, float]](), list[tuple[float, float]]()
    sent = began = 0.0
    for event in events:
        if kind(event) == "WORKFLOW_TASK_SCHEDULED":
            sent = millis(event["eventTime"])
        if kind(event) == "WORKFLOW_TASK_STARTED":
            began = millis(event["eventTime"])
            waits.append((sent, began))
        details = event.get("markerRecordedEventAttributes", {}).get("details", {})
        about = data_of(details["data"]["payloads"][0]) if "data" in details else {}
        if about.get("activity_type") in ("perdure.fetch", "perdure.keep"):
            ended = about["complete_time"]["seconds"] * 1000 + about["complete_time"]["nanos"] / 1e6
            spans.append((began, max(began, ended)))
    return spans, waits


def split_of(
    activities: Sequence[Activity], own: tuple[Spans, Spans], began: float, ended: float
) -> dict[str, float]:
    """Each moment counts once: by the lengths of unions that grow."""
    work: Spans = []
    transfer, wait = map(list, own)
    for activity in activities:
        working, moving = activity.spans
        if activity.started is not None and activity.ended is None:
            working = [(activity.started, ended)]
        work, transfer = work + working, transfer + moving
        first = activity.started or activity.ended or ended
        wait.append((activity.scheduled, first))
    lengths = [covered(spans, began, ended) for spans in (work, work + transfer, work + transfer + wait)]
    working, with_transfer, with_wait = (length / 1000 for length in lengths)
    rest = (ended - began) / 1000 - with_wait
    return {
        "working": working,
        "transfer": with_transfer - working,
        "waiting": with_wait - with_transfer,
        "rest": rest,
    }


def covered(spans: Spans, began: float, ended: float) -> float:
    total, until = 0.0, began
    for start, end in sorted((max(start, began), min(end, ended)) for start, end in spans):
        if end > until:
            total += end - max(start, until)
            until = end
    return total


def grouped(activities: Iterable[Activity], name: Any) -> dict[str, list[Activity]]:
    groups: dict[str, list[Activity]] = {}
    for activity in activities:
        groups.setdefault(name(activity), []).append(activity)
    return groups


def ended_before(activity: Activity) -> tuple[int, int, int, list[str]]:
    """Attempts before the last one that were lost, failed and returned, and the hosts of lost ones."""
    earlier, about = activity.number - 1, activity.about
    counts = [about.get(name, 0) for name in ("lost", "transient", "blocked", "stopped", "absent")]
    if 0 < sum(counts) <= earlier:
        return counts[0], counts[1] + counts[2], counts[3] + counts[4], about.get("lost_on", "").split()
    return (earlier, 0, 0, []) if is_lost(activity.before) else (0, earlier, 0, [])


def is_lost(message: str | None) -> bool:
    return message is not None and ("heartbeat timeout" in message or "no worker finished it" in message)


def is_refused(message: str | None) -> bool:
    return message is not None and ("lost its worker" in message or "lost their worker" in message)


def last_ends(activity: Activity) -> tuple[int, int]:
    """How many of the last attempt, and of the calls in it, were lost and failed."""
    lost = int(is_lost(activity.failure))
    failed = int(activity.failure is not None and not lost and not is_refused(activity.failure)) * len(
        activity.calls
    )
    return lost, failed + activity.refused


def calls_of(activities: Sequence[Activity]) -> Json:
    """The figures of the activities of one agent."""
    made = last_attempts(activities)
    for activity in activities:
        lost, failed, returned, _ = ended_before(activity)
        made["attempts"] += activity.number - 1
        made["lost"] += lost
        made["failed"] += failed
        made["returned"] += returned
    return rates(made, [repair(activity) for activity in activities if is_repaired(activity)])


def is_repaired(activity: Activity) -> bool:
    return ended_before(activity)[0] > 0 and activity.failure is None and activity.ended is not None


def repair(activity: Activity) -> float:
    return ((activity.ended or 0) - activity.scheduled) / 1000


def hosts_of(activities: Sequence[Activity]) -> dict[str, Json]:
    """The figures of each host: of last attempts, and of lost ones whose host was recorded."""
    groups = grouped([activity for activity in activities if activity.host], lambda one: one.host)
    made = {name: last_attempts(group) for name, group in groups.items()}
    repaired: dict[str, list[float]] = {}
    for activity in activities:
        lost, _, _, known = ended_before(activity)
        elsewhere = activity.queue[1:] if activity.queue.startswith("@") else "unknown"
        lost_on = [*known[:lost], *[elsewhere] * (lost - len(known[:lost]))]
        for host in lost_on:
            group = made.setdefault(host, last_attempts([]))
            group["attempts"] += 1
            group["lost"] += 1
        for host in set(lost_on):
            repaired.setdefault(host, []).extend([repair(activity)] if is_repaired(activity) else [])
    return {name: rates(group, repaired.get(name, [])) for name, group in made.items()}


def last_attempts(activities: Sequence[Activity]) -> Json:
    working, waiting, transfer = list[float](), list[float](), 0.0
    lost = failed = size = 0
    for activity in activities:
        size += activity.size + activity.about.get("got", 0) + activity.about.get("put", 0)
        more = last_ends(activity)
        lost, failed = lost + more[0], failed + more[1]
        if activity.started is not None and activity.ended is not None:
            work, moving = activity.took
            working.append(work / 1000)
            transfer += moving / 1000
            if activity.number == 1:
                waiting.append((activity.started - activity.scheduled) / 1000)
    return {
        "calls": sum(len(activity.calls) - activity.again for activity in activities),
        "attempts": len(activities),
        "lost": lost,
        "failed": failed,
        "returned": 0,
        "waiting": quantiles(waiting),
        "working": quantiles(working),
        "hours": sum(working) / 3600,
        "transfer_s": transfer,
        "bytes": size,
    }


def rates(made: Json, repairs: Sequence[float]) -> Json:
    lost, hours = made["lost"], made["hours"]
    return made | {
        "losses_per_hour": lost / hours if hours else None,
        "mtbf_s": hours * 3600 / lost if lost and hours else None,
        "mttr_s": sum(repairs) / len(repairs) if repairs else None,
    }


def quantiles(values: Sequence[float]) -> Json:
    """By counting how many values are at most as large: not by an index."""

    def at(share: float) -> float:
        fitting = [
            one for one in values if sum(activity <= one for activity in values) >= share * len(values) - 1e-9
        ]
        return min(fitting, default=0.0)

    names = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "longest": 1.0}
    return {"count": len(values)} | {name: at(share) for name, share in names.items()}


def payloads_of_calls(events: Iterable[Json]) -> Iterator[Json]:
    """The payloads of inputs and of results of calls that have ended well."""
    inputs: dict[str, Json] = {}
    for event in events:
        sent = event.get("activityTaskScheduledEventAttributes")
        if sent and sent.get("input"):
            inputs[event["eventId"]] = sent["input"]["payloads"][0]
        done = event.get("activityTaskCompletedEventAttributes")
        if done:
            yield inputs[done["scheduledEventId"]]
            yield done["result"]["payloads"][0]


def objects_in(payload: Json) -> dict[str, int]:
    """The objects of the store that a payload refers to, with their sizes."""
    sizes: dict[str, int] = {}

    def look(value: Any) -> None:
        if isinstance(value, list):
            if value[:1] == ["stored"]:
                sizes[value[1]] = value[2]
            for item in value:
                look(item)

    look(metadata_of(payload, "special"))
    return sizes


def answers_of(events: Iterable[Json], activities: Sequence[Activity]) -> Iterator[Any]:
    """The results of all calls: of activities, and of those that were answered in the worker of the run."""
    for activity in activities:
        yield from (result for result in activity.results if result is not FAILED)
    for event in events:
        details = event.get("markerRecordedEventAttributes", {}).get("details", {})
        about = data_of(details["data"]["payloads"][0]) if "data" in details else {}
        if about.get("activity_type") not in ("perdure.segment", "perdure.agents") or "result" not in details:
            continue
        value = data_of(details["result"]["payloads"][0]) or {}
        segment = value if about["activity_type"] == "perdure.segment" else value.get("first") or {}
        yield from (answer[2] for answer in segment.get("answers", ()) if len(answer) == 3)


def usage_of(result: Any, prices: Mapping[str, float]) -> tuple[float, float]:
    """The tokens of a call, and their price."""
    usage = result.get("usage") if isinstance(result, dict) else None
    if not isinstance(usage, dict):
        return 0.0, 0.0
    if result.get("model") != MODEL:
        prices = dict.fromkeys(prices, 0.0)
    read, written = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
    paid = (read * prices["input"] + written * prices["output"]) / 1_000_000
    return usage.get("total_tokens") or read + written, paid


def wilson(share: float, n: float) -> tuple[float, float]:
    """The roots of n (p - share)² = z² p (1 - p)."""
    z2 = 1.959963984540054**2
    a, b, c = n + z2, -(2 * n * share + z2), n * share * share
    root = math.sqrt(b * b - 4 * a * c)
    return (-b - root) / (2 * a), (-b + root) / (2 * a)
