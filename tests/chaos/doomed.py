"""A worker that kills itself at a moment that can be counted.

A moment is when the worker has received work, or is about to return it: each activation of a
run (not those of a replay) and each call of an activity has two. Between two moments that follow each
other lie the events that the server writes, so that dying at each moment is dying after each event.

Processes are forked from one that has loaded everything, by multiprocessing's forkserver: a new one
costs some hundredths of a second, not one and a half.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    UnsandboxedWorkflowRunner,
    WorkerConfig,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)

from perdure.agents.catalog import catalog, load_agents
from perdure.plugin import GraphPlugin
from perdure.settings import Settings
from perdure.transport import codec_for
from perdure.worker import WorkerOptions, build_worker


@dataclass(frozen=True, kw_only=True)
class Doom:
    """What the worker serves, and its last moment: from 1, or 0 for none.

    `count` is a file that gets a byte for each moment, `log` one for what the process logs.
    """

    address: str
    queue: str
    settings: Settings
    agents: tuple[str, ...]
    at: int
    count: Path
    log: Path


def start(doom: Doom) -> Any:
    """The worker as a process of its own, begun."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.chaos.doomed"])
    process = context.Process(target=_serve, args=(doom,), daemon=True)
    process.start()
    return process


def moments(doom: Doom) -> int:
    """How many moments its workers have lived through."""
    return doom.count.stat().st_size if doom.count.exists() else 0


def _serve(doom: Doom) -> None:
    log = os.open(doom.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    asyncio.run(_main(doom))


async def _main(doom: Doom) -> None:
    passed = 0
    doom.count.touch()

    def moment() -> None:
        nonlocal passed
        passed += 1
        with doom.count.open("ab") as file:
            file.write(b".")
        if passed == doom.at:
            os._exit(9)

    converter = replace(DataConverter.default, payload_codec=codec_for(doom.settings))
    plugins = [GraphPlugin(), _Moments(moment)]
    client = await Client.connect(doom.address, data_converter=converter, plugins=plugins)
    agents = catalog()
    for module in doom.agents:
        agents |= load_agents(module)
    options = WorkerOptions(agents=agents, settings=doom.settings, cached_runs=0)
    async with build_worker(client, doom.queue, options):
        await asyncio.Event().wait()


class _Moments(SimplePlugin):
    def __init__(self, moment: Callable[[], None]) -> None:
        self._moment = moment
        super().__init__("chaos.Moments", interceptors=[_Calls(moment)])

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        config = super().configure_worker(config)
        config["unsandboxed_workflow_runner"] = _Runner(UnsandboxedWorkflowRunner(), self._moment)
        return config


class _Calls(Interceptor):
    def __init__(self, moment: Callable[[], None]) -> None:
        self._moment = moment

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        moment = self._moment

        class Inbound(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:
                moment()
                try:
                    return await super().execute_activity(input)
                finally:
                    moment()

        return Inbound(next)


class _Runner(WorkflowRunner):
    """Counts activations."""

    def __init__(self, inner: WorkflowRunner, moment: Callable[[], None]) -> None:
        self._inner = inner
        self._moment = moment

    def prepare_workflow(self, defn: Any) -> None:
        self._inner.prepare_workflow(defn)

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        self._inner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance, moment = self._inner.create_instance(det), self._moment
        activate = instance.activate

        def counted(act: WorkflowActivation) -> Any:
            jobs = [job for job in act.jobs if not job.HasField("remove_from_cache")]
            if act.is_replaying or not jobs:
                return activate(act)
            moment()
            completion = activate(act)
            moment()
            return completion

        instance.activate = counted
        return instance
