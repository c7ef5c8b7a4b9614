"""One Temporal plugin for the client, the worker and the replayer.

It brings the converter of values and the workflow, which says of itself that an exception of Perdure
fails the run instead of the workflow task, which would be retried for ever.
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
)
from temporalio.plugin import SimplePlugin
from temporalio.worker import ReplayerConfig, WorkerConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from perdure.wire import ENCODING, from_payload, to_payload
from perdure.workflows.graph_workflow import GraphWorkflow


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


class GraphPlugin(SimplePlugin):
    """Give it to Client.connect (workers inherit it) and to Replayer.

    The workflow runs outside of Temporal's sandbox: nobody's code but Perdure's is in it. With `sandbox`
    it runs inside, all its modules loaded anew for each run, where clocks and chance are refused: tests
    replay every history so. Other workflows of a worker run as they would without this plugin.
    """

    def __init__(self, *, sandbox: bool = False) -> None:
        self._sandbox = sandbox
        super().__init__(  # pyright: ignore[reportUnknownMemberType] -- the SDK's
            "perdure.GraphPlugin", data_converter=data_converter, workflows=[GraphWorkflow]
        )

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Adds the workflow."""
        config = super().configure_worker(config)
        if self._sandbox:
            config["unsandboxed_workflow_runner"] = SandboxedWorkflowRunner()
        return config

    def configure_replayer(self, config: ReplayerConfig) -> ReplayerConfig:
        """Adds the workflow and the converter."""
        config = super().configure_replayer(config)
        if self._sandbox:
            config["unsandboxed_workflow_runner"] = SandboxedWorkflowRunner()
        return config
