"""What is logged: nothing unless it is asked for, one line each for workers, all of it with -v."""

from __future__ import annotations

import logging
import re
import sys
import time
import warnings
from datetime import timedelta
from typing import Any, cast

from perdure.agents.code_place import code_place
from perdure.graph.text.shown import line, plain

SDK = "temporalio"
OWN_LOGGER = "perdure"

WORKER_HEARTBEAT_INTERVAL = timedelta(seconds=5)
"""How often workers send a sign of life to the server: commands must not wait for one that died."""

REPEATED_LOG_INTERVAL_S = 30.0
"""Seconds between two lines that say the same."""

MAX_LOGGED_REASON_CHARS = 1_000
"""Characters of an error in a log line."""

MAX_RUN_LINE_COUNT = 100
"""Lines about one run in a second."""

_CORE = "[sdk_core::"
_AWAY = re.compile(r"gRPC call \w+ retried|Network error")
_REASON = re.compile(r'message: "((?:[^"\\]|\\.)+)"')


class Seldom(logging.Filter):
    """Limits what the SDK's core repeats: each of its pollers logs every retry."""

    def __init__(self) -> None:
        super().__init__()
        self._last_shown: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line is due."""
        text = record.getMessage()
        if _CORE not in text:
            return True
        kind = "away" if _AWAY.search(text) else re.sub(r"\d+", "", text.partition("{")[0])
        due = (
            time.monotonic() - self._last_shown.get(kind, -REPEATED_LOG_INTERVAL_S) >= REPEATED_LOG_INTERVAL_S
        )
        if due:
            self._last_shown[kind] = time.monotonic()
        return due


class PerRun(logging.Filter):
    """Limits the lines about each run: a graph can fail in ten thousand rows a second.

    The first line of a later second, whatever it is about, is followed by what was left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._second = 0
        self._counts: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether there is room for this line."""
        second = int(time.monotonic())
        if second != self._second:
            counts, self._second, self._counts = self._counts, second, {}
            for run, count in counts.items():
                if count > MAX_RUN_LINE_COUNT:
                    message = f"run {run}: {count - MAX_RUN_LINE_COUNT} more lines were left out"
                    logging.getLogger(OWN_LOGGER).warning(message)
        run = _run_of(record)
        if run is None:
            return True
        self._counts[run] = self._counts.get(run, 0) + 1
        return self._counts[run] <= MAX_RUN_LINE_COUNT


def _run_of(record: logging.LogRecord) -> str | None:
    """The id of the run that the record is about, None if it is about none."""
    for name in ("temporal_activity", "temporal_workflow"):
        details: Any = getattr(record, name, None)
        if isinstance(details, dict):
            return cast("dict[str, Any]", details).get("workflow_id")
    return None


class Line(logging.Formatter):
    """Time, level and message on one line; in place of a traceback, what failed, why and where."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        text = record.getMessage().partition("\n")[0]
        if _CORE in text and _AWAY.search(text):
            match = _REASON.search(text)
            reason = match[1].replace('\\"', '"') if match else "no reason given"
            text = f"the Temporal server does not answer ({reason}); trying again"
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            text = f"{_failed(record) or text}: {_reason(error)}"
        return f"{self.formatTime(record)} {record.levelname.lower()} {line(text)}"


def _failed(record: logging.LogRecord) -> str:
    """Which call of an activity the record is about, if it is about one."""
    details: Any = getattr(record, "temporal_activity", None)
    if not isinstance(details, dict):
        return ""
    known = cast("dict[str, Any]", details)
    names = ("activity_type", "activity_id", "workflow_id", "attempt")
    agent, node, run, attempt = (known.get(name) for name in names)
    return f"agent {agent} failed in node {node} of run {run}, attempt {attempt}"


def _reason(error: BaseException) -> str:
    text = str(error).partition("\n")[0][:MAX_LOGGED_REASON_CHARS] or type(error).__name__
    place = code_place(error)
    return f"{text} ({place})" if place else text


class Verbose(logging.Formatter):
    """A record with its traceback, which is indented: no message can look like a record of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines."""
        first, *rest = plain(super().format(record)).split("\n")
        return "\n    ".join([first, *rest])


def configure(*, verbose: bool, worker: bool = False) -> None:
    """Sets up Python's loggers. Call once, before the SDK is used."""
    if not verbose:  # of runs that are abandoned half-way, such as those open when a worker ends
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    handler: logging.Handler = logging.NullHandler()
    if verbose or worker:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(Verbose("%(asctime)s %(name)s %(message)s") if verbose else Line())
    if not verbose:
        handler.addFilter(Seldom())
        handler.addFilter(PerRun())
    for name in (SDK, OWN_LOGGER):
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.handlers.clear()
        logger.addHandler(handler)
        logger.setLevel(logging.INFO if verbose else logging.WARNING)


def quiet_core() -> None:
    """Gives what the SDK's core logs to Python's loggers; by itself it writes to the terminal."""
    from temporalio import runtime  # noqa: PLC0415 -- part of the SDK, loaded when it is needed

    logging_ = runtime.LoggingConfig(
        filter=runtime.TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=runtime.LogForwardingConfig(logger=logging.getLogger(f"{SDK}.core")),
    )
    telemetry = runtime.TelemetryConfig(logging=logging_)
    own = runtime.Runtime(telemetry=telemetry, worker_heartbeat_interval=WORKER_HEARTBEAT_INTERVAL)
    runtime.Runtime.set_default(own, error_if_already_set=False)
