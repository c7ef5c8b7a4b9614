"""One Temporal plugin for the client, the worker and the replayer.

It brings the workflow, which says of itself that an exception of Perdure fails the run instead of the
workflow task, which would be retried forever; and it teaches the payload converter that is there the few
classes that Perdure sends. Everything else is left to that converter: it is the user's, with the values
of the user's own workflows and of their recorded histories. A converter of Perdure's in its place would
fail on them, which is why there is none.
"""

from __future__ import annotations

import asyncio
import copyreg
import dataclasses
from abc import ABCMeta
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any, cast

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.common import RawValue
from temporalio.converter import DataConverter, FailureConverter, PayloadConverter
from temporalio.plugin import SimplePlugin
from temporalio.worker import ReplayerConfig, UnsandboxedWorkflowRunner, Worker, WorkerConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from perdure.daemon.work_journal import WorkJournal
from perdure.engine.human_tasks import Answer
from perdure.engine.inbox.events import EventBatch
from perdure.errors import MalformedPayload
from perdure.protocol.payloads import AgentCall, RunChanges, RunRequest, RunResult, RunStatus, StreamTail
from perdure.protocol.steering import RunGraph, SteeringOrder, SteeringReceipt
from perdure.protocol.wire import (
    MAX_UNREADABLE_CHARS,
    PLACES,
    admitted,
    began_ms,
    from_payload,
    is_binary_payload,
    is_untrusted,
    of_principal,
    to_payload,
)
from perdure.temporal.cached_runs import forget_runs
from perdure.temporal.journalled_runner import JournalledRunner
from perdure.workflows.graph_workflow import GraphWorkflow
from perdure.workflows.notices import NoticeWorkflow
from perdure.workflows.run_view import RunDetails

OWN_TYPES = frozenset(
    (kind.__module__, kind.__name__)
    for kind in (
        *(AgentCall, Answer, RunChanges, RunRequest, RunResult, RunStatus, StreamTail),
        *(EventBatch, RunGraph, SteeringOrder, SteeringReceipt),
    )
)
"""By name: Temporal's sandbox imports a module again, and the classes of that copy are ours as well."""


class OwnTypes(PayloadConverter):
    """Mixed into a converter: converts Perdure's own types, and leaves everything else to that one."""

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """One payload for each value; those of the converter underneath where no value is Perdure's."""
        if not any(isinstance(value, RawValue) or _is_own(value.__class__) for value in values):
            return super().to_payloads(values)  # pyright: ignore[reportAbstractUsage] -- the mixed-in class has it
        return [self._to_payload(value) for value in values]

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """One value for each payload; those of the converter underneath where no payload is Perdure's."""
        hints: Sequence[type | None] = type_hints or [None] * len(payloads)
        if any(map(is_untrusted, payloads)):
            began = began_ms.get()
            if workflow.in_workflow():
                began = workflow.info().start_time.timestamp() * 1000
            payloads = [admitted(payload, began) for payload in payloads]
        if not any(map(_is_ours, payloads, hints)):
            try:
                return super().from_payloads(payloads, type_hints)  # pyright: ignore[reportAbstractUsage] -- likewise
            except Exception as error:
                if type_hints is not None or len(payloads) == 1:
                    raise
                # A start of `Graph` with more arguments than it takes: only an error of Perdure ends the run.
                finding = f"one of {len(payloads)} arguments cannot be read: {error}"
                raise MalformedPayload(finding[:MAX_UNREADABLE_CHARS]) from error
        return [self._from_payload(*pair) for pair in zip(payloads, hints, strict=True)]

    def _to_payload(self, value: Any) -> Payload:
        if isinstance(value, RawValue):
            return value.payload
        return to_payload(value) if _is_own(value.__class__) else self.to_payload(value)

    def _from_payload(self, payload: Payload, hint: type | None) -> Any:
        if is_untrusted(payload) and (hint is int or (hint is None and not workflow.in_workflow())):
            payload = of_principal(payload)  # the argument of a query, or a memo that a client reads
        if hint is RawValue or (hint is None and is_untrusted(payload)):
            return RawValue(payload)
        if _is_ours(payload, hint):
            return from_payload(payload, hint)
        return self.from_payloads([payload], None if hint is None else [hint])[0]


class AnyFailure(FailureConverter):
    """Mixed into a converter: reads every failure, without the details that cannot be read.

    They are whatever the worker of another application has put there. An exception here would fail the
    workflow task, which the server repeats forever.
    """

    def from_failure(self, failure: Failure, payload_converter: PayloadConverter) -> BaseException:
        """The exception of the converter underneath."""
        try:
            return super().from_failure(failure, payload_converter)  # pyright: ignore[reportAbstractUsage] -- the mixed-in class has it
        except Exception:
            return super().from_failure(_without_details(failure), payload_converter)  # pyright: ignore[reportAbstractUsage] -- likewise


def _without_details(failure: Failure) -> Failure:
    bare = Failure()
    bare.CopyFrom(failure)
    part = bare
    while True:
        kind = part.WhichOneof("failure_info")
        info: Any = part if kind is None else getattr(part, kind)
        for name in ("details", "last_heartbeat_details", "category"):
            if name in info.DESCRIPTOR.fields_by_name:
                info.ClearField(name)
        if not part.HasField("cause"):
            return bare
        part = part.cause


class _Extended(ABCMeta):
    """The class of the classes that `extended` makes: an activity in another process needs to pickle them."""


@cache
def extended(base: type[Any], mixin: type[Any] = OwnTypes) -> type[Any]:
    """A subclass of the converter `base` that does what `mixin` does as well.

    A subclass, and not a converter around it: whatever asks for the class of the user's converter, such as
    other plugins, still finds it.
    """
    if issubclass(base, mixin):
        return base
    return cast(Any, _Extended(f"Perdure{base.__name__}", (mixin, base), {"__doc__": base.__doc__}))


def _is_own(kind: object) -> bool:
    return (getattr(kind, "__module__", None), getattr(kind, "__name__", None)) in OWN_TYPES


def _is_ours(payload: Payload, hint: type | None) -> bool:
    is_of_perdure = PLACES in payload.metadata or is_binary_payload(payload) or is_untrusted(payload)
    return hint is RawValue or _is_own(hint) or is_of_perdure


def _reduced(kind: Any) -> Any:
    mixin, base = kind.__bases__
    return extended, (base,) if mixin is OwnTypes else (base, mixin)


copyreg.pickle(_Extended, _reduced)


def data_converter(converter: DataConverter | None) -> DataConverter:
    """The user's data converter (payloads, failures, codec), which converts Perdure's own types as well."""
    base = converter or DataConverter.default
    return dataclasses.replace(
        base,
        payload_converter_class=extended(base.payload_converter_class),
        failure_converter_class=extended(base.failure_converter_class, AnyFailure),
    )


def _journal(config: WorkerConfig) -> WorkJournal | None:
    """The journal of a worker, which its agents bring (perdure.activities.activity); None without agents."""
    activities = cast("Sequence[object]", dict(config).get("activities") or ())
    for method in activities:
        journal = getattr(getattr(method, "__self__", None), "journal", None)
        if isinstance(journal, WorkJournal):
            return journal
    return None


class GraphPlugin(SimplePlugin):
    """Give it to Client.connect (workers inherit it) and to Replayer.

    The workflow runs outside Temporal's sandbox: it holds no code but Perdure's. With `sandbox`
    it runs inside, all its modules loaded again for each run, where clocks and chance are refused: tests
    replay every history so. Other workflows of a worker run as they would without this plugin.
    """

    def __init__(self, *, sandbox: bool = False) -> None:
        self._sandbox = sandbox
        super().__init__(  # pyright: ignore[reportUnknownMemberType] -- the SDK's
            "perdure.GraphPlugin",
            data_converter=data_converter,
            interceptors=[RunDetails()],
            workflows=[GraphWorkflow, NoticeWorkflow],
        )

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Adds the workflow, which the journal of the worker's agents is to know about."""
        config = super().configure_worker(config)
        if self._sandbox:
            config["unsandboxed_workflow_runner"] = SandboxedWorkflowRunner()
        journal = _journal(config)
        if journal is not None:
            options = cast("dict[str, Any]", config)
            runner = options.get("unsandboxed_workflow_runner") or UnsandboxedWorkflowRunner()
            config["unsandboxed_workflow_runner"] = JournalledRunner(runner, journal, options["client"])
        return config

    async def run_worker(self, worker: Worker, next: Callable[[Worker], Awaitable[None]]) -> None:
        """Keeps the journal while the worker runs, and forgets runs that have ended elsewhere."""
        config = worker.config(active_config=True)
        journal = _journal(config)
        runner = cast("dict[str, Any]", config).get("unsandboxed_workflow_runner")
        with nullcontext() if journal is None else journal.opened():
            if not isinstance(runner, JournalledRunner):
                await super().run_worker(worker, next)
                return
            bridge: Any = worker._bridge_worker  # pyright: ignore[reportPrivateUsage] -- the SDK has no other way
            forgetting = asyncio.create_task(
                forget_runs(worker.client, runner.cached, bridge.request_workflow_eviction)
            )
            try:
                await super().run_worker(worker, next)
            finally:
                forgetting.cancel()

    def configure_replayer(self, config: ReplayerConfig) -> ReplayerConfig:
        """Adds the workflow and the converter."""
        config = super().configure_replayer(config)
        if self._sandbox:
            config["unsandboxed_workflow_runner"] = SandboxedWorkflowRunner()
        return config
