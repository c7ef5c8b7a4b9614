"""What runs say of their nodes while a worker executes them: to compare with what a replay says later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import temporalio.client
import temporalio.worker
from temporalio import workflow
from temporalio.client import Client

from perdure.protocol.trail import MOVE
from perdure.workflows.graph_workflow import GraphWorkflow

Move = tuple[str, str]
"""The address of a node, and the state that it came to."""


@dataclass
class LiveMoves(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Keeps the workflows that the workers of a client execute, by the ids of the executions."""

    executions: dict[str, GraphWorkflow] = field(default_factory=dict[str, GraphWorkflow])

    def watched(self, client: Client) -> Client:
        """The client, with workers that this looks at."""
        config = client.config()
        config["interceptors"] = [*config["interceptors"], self]
        return Client(**config)

    def workflow_interceptor_class(
        self, input: temporalio.worker.WorkflowInterceptorClassInput
    ) -> type[temporalio.worker.WorkflowInboundInterceptor]:
        executions = self.executions

        class Inbound(temporalio.worker.WorkflowInboundInterceptor):
            async def execute_workflow(self, input: temporalio.worker.ExecuteWorkflowInput) -> Any:
                instance = workflow.instance()
                if isinstance(instance, GraphWorkflow):
                    executions[workflow.info().run_id] = instance
                return await super().execute_workflow(input)

        return Inbound

    def of(self, executions: list[str]) -> list[Move]:
        """The moves of a run with these executions, in their order."""
        return [move for execution in executions for move in _moves(self.executions[execution])]


def _moves(instance: GraphWorkflow) -> Iterator[Move]:
    number = 1
    while changes := instance.changes(number).changes:
        for change in changes:
            if change[0] == MOVE:
                _, key, iteration, _, name, state, *_ = change
                yield f"{key}{name}@{iteration}" if iteration else f"{key}{name}", state
        number += len(changes)
