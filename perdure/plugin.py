"""One Temporal plugin for the client, the worker and the replayer.

It brings the converter of values, the workflow, the sandbox's rules, and the rule that an
exception of Perdure fails the run instead of the workflow task, which would be retried for ever.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    BinaryNullPayloadConverter,
    BinaryPlainPayloadConverter,
    CompositePayloadConverter,
    DataConverter,
    EncodingPayloadConverter,
    StorageDriverStoreContext,
)
from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from perdure.wire import ENCODING, from_payload, to_payload
from perdure.workflows.graph_workflow import GraphWorkflow

WORKFLOW_PARTS = (
    "activity_options",
    "batches",
    "calls",
    "continuation",
    "course",
    "outbox",
    "people",
    "progress",
    "segments",
    "share",
    "values",
)
"""All of perdure.workflows but the workflow itself, in which the sandbox looks for clocks and chance."""

# By name, never the package itself: with `perdure` passed through, a clock or numpy in the
# workflow file went uncaught. What is listed is pure, which import-linter checks.
PASSED_THROUGH = (
    "perdure.errors",
    "perdure.graph",
    "perdure.engine",
    "perdure.payloads",
    "perdure.encoding",
    "perdure.directory",
    *(f"perdure.workflows.{name}" for name in WORKFLOW_PARTS),
    "perdure.wire",
)


class ValueConverter(EncodingPayloadConverter):
    """Values of the language as plain JSON."""

    @property
    def encoding(self) -> str:
        """The encoding that the payload's metadata names."""
        return ENCODING.decode()

    def to_payload(self, value: Any) -> Payload | None:
        """Any value is ours to convert; the converters for null and bytes come first."""
        return to_payload(value)

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """The value, or the payload class that `type_hint` names."""
        return from_payload(payload, type_hint)


class PerdurePayloadConverter(CompositePayloadConverter):
    """Null, bytes, and everything else as values."""

    def __init__(self) -> None:
        super().__init__(BinaryNullPayloadConverter(), BinaryPlainPayloadConverter(), ValueConverter())


def data_converter(given: DataConverter | None) -> DataConverter:
    """Perdure's payload converter in the converter that the user configured (codec, encryption)."""
    base = given or DataConverter.default
    return dataclasses.replace(base, payload_converter_class=PerdurePayloadConverter)


class GraphRunner(SandboxedWorkflowRunner):
    """The sandbox, without a way into it for each payload: Perdure's converter takes no context.

    The SDK asks the sandbox which activity a payload belongs to, by running source text in it.
    """

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """An instance that answers for itself."""
        instance = super().create_instance(det)
        nowhere = StorageDriverStoreContext(target=None)
        instance.get_serialization_context = lambda command_info: None
        instance.get_external_store_context = lambda command_info: nowhere
        return instance


def runner(strict: bool = False) -> SandboxedWorkflowRunner:
    """The workflow sandbox: `strict` reloads the pure core in every run, to catch what it may hide."""
    restrictions = SandboxRestrictions.default
    return GraphRunner(
        restrictions=restrictions if strict else restrictions.with_passthrough_modules(*PASSED_THROUGH)
    )


class GraphPlugin(SimplePlugin):
    """Give it to Client.connect (workers inherit it) and to Replayer."""

    def __init__(self, *, strict_sandbox: bool = False) -> None:
        def choose(given: WorkflowRunner | None) -> WorkflowRunner:
            del given
            return runner(strict_sandbox)

        super().__init__(  # pyright: ignore[reportUnknownMemberType] -- the SDK's
            "perdure.GraphPlugin",
            data_converter=data_converter,
            workflows=[GraphWorkflow],
            workflow_runner=choose,
        )
