"""The client: starts runs, attaches to them, asks how they are, stops them.

    async with await connect() as client:
        run = await client.start(graph, inputs={"name": "x"}, id="r1")
        result = await run.result()

It names agents by text and never imports one.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from perdure import server
from perdure.daemon import Lease
from perdure.engine.messages import RunOptions
from perdure.engine.plan_cache import problem_of
from perdure.errors import GraphError, RunConflict
from perdure.graph.check import modernized
from perdure.graph.inputs import check_inputs
from perdure.graph.values import Value, normalize
from perdure.monitoring.descriptions import listed
from perdure.monitoring.pending import PendingQuestion, pending_filter
from perdure.monitoring.report import RunSummary
from perdure.protocol.names import WORKFLOW
from perdure.protocol.numpy_arrays import from_python
from perdure.protocol.payloads import RunRequest
from perdure.runs import Run
from perdure.settings import Settings
from perdure.storage.claim_check import ClaimCheck
from perdure.submission import body_of, check_run_id, start_run, with_stored_values
from perdure.temporal.queues import workers
from perdure.temporal.rpc_errors import rpc_error
from perdure.transport import codec_for, configured, reach


@dataclass(frozen=True, slots=True)
class GraphClient:
    """A connection to Temporal. `embedded` is the server that was started for it, if any.

    `lease` keeps that server from stopping while this process lives, or until `close`.
    """

    temporal: Client
    settings: Settings = field(default_factory=Settings.from_env)
    embedded: server.EmbeddedServer | None = None
    claims: ClaimCheck = field(default_factory=lambda: ClaimCheck(None, 0))
    lease: Lease | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the embedded server, which may then stop when idle."""
        if self.lease is not None:
            self.lease.give_back()

    async def start(
        self,
        graph: Mapping[str, Value],
        inputs: Mapping[str, Value] | None = None,
        *,
        id: str | None = None,
        name: str = "graph",
        queue: str | None = None,
        options: RunOptions | None = None,
    ) -> Run:
        """Starts a run, or attaches to the one that has this id and the same body.

        `graph` is a document as perdure.graph.text.load reads it; `inputs` go into static nodes. `name`
        is shown in lists. Raises GraphError for a graph that is wrong, UsageError for an input that
        fits no node, RunConflict when the id is taken by a run with another graph or other inputs, and
        ConnectionFailed within some ten seconds when the server does not answer or its disk is full:
        the run may then have started, or not.
        """
        document = modernized(normalize(graph))
        problem = problem_of(document)
        if problem is not None:
            raise GraphError([problem])
        values = from_python(inputs or {})
        check_inputs(document, values)
        request = RunRequest(
            document=document,
            name=name,
            queue=queue or self.settings.queue,
            options=(options or RunOptions()).injecting(values),
        )
        return await self.submit(request, id)

    async def submit(self, request: RunRequest, id: str | None = None) -> Run:
        """Starts a run of a request that was checked; the errors are those of `start`."""
        if self.embedded is not None:
            server.check_space(self.embedded.database.parent)  # the server would only not answer
        run_id = id or f"{_slug(request.name)}-{secrets.token_hex(5)}"
        check_run_id(run_id)
        request.options.quotas.checked()
        body = body_of(request)
        request = await with_stored_values(request, self.claims)
        run = self.get(run_id)
        try:
            memo = {"body": body}
            await start_run(self.temporal, request, run_id, local=self.embedded is not None, memo=memo)
        except WorkflowAlreadyStartedError:
            pass  # it has ended; attached to like a running one
        except RPCError as error:
            raise rpc_error(error, f"the start of run {run_id!r}") from error
        if id is not None:
            await self._compare(run, body, body_of(request))
        return run

    async def _compare(self, run: Run, body: str, kept: str) -> None:
        description = await run.describe()
        recorded = description.memo.get("body")
        if recorded is None:  # it was started by a schedule, over HTTP or by another SDK
            recorded = body_of(await run.request(description.info.first_run_id))
        if recorded not in (body, kept):
            raise RunConflict(
                f"run {run.id!r} exists with another graph or other inputs",
                hint=f"choose another id, or look at it: perdure status {run.id}",
            )

    def get(self, id: str) -> Run:
        """The run with this id, from any client.

        Sends no request, and so is not awaited, unlike `start`: whether there is such a run is seen by the
        first call of one of its methods, which raises UsageError if there is none.
        """
        return Run(self.temporal, id, self.claims, local=self.embedded is not None)

    async def list(self, limit: int = 20, query: str = "") -> AsyncIterator[RunSummary]:
        """The latest runs, newest first. `query` is Temporal's list filter.

        A run that continues as new is several executions at the server, and one line here.
        """
        latest = f"WorkflowType = '{WORKFLOW}' AND ExecutionStatus != 'ContinuedAsNew'"
        full_query = f"{latest} AND ({query})" if query else latest
        async for run in listed(self.temporal, full_query, limit):
            yield run if run.name else replace(run, name=await self.get(run.id).recorded_name())

    async def pending(
        self, who: str | None = None, limit: int = 1_000, *, unknown: Callable[[str], None] | None = None
    ) -> AsyncIterator[PendingQuestion]:
        """What people are asked by at most `limit` open runs: all, or what `who` or anybody is asked.

        Runs that no worker replies for are left out; `unknown` is called with the id of each. If the server
        has the search attribute PerdureAsks, only runs that ask are queried, and they appear there with a
        short delay.
        """
        async for summary in self.list(limit, await pending_filter(self.temporal, who)):
            status = await self.get(summary.id).status()
            if status is None and unknown is not None:
                unknown(summary.id)
            for prompt in () if status is None else status.questions:
                question = PendingQuestion(summary.id, prompt)
                if question.is_for(who):
                    yield question

    async def workers(self, queue: str) -> set[str]:
        """The identities of the workers that serve this task queue.

        A worker that was killed may be listed for another minute. With the embedded server it is not: the
        process of a worker on this machine can be looked up.
        """
        return await workers(self.temporal, queue, local=self.embedded is not None)


async def connect(settings: Settings | None = None, *, identity: str | None = None) -> GraphClient:
    """Connects as the environment says: TEMPORAL_ADDRESS or a Temporal profile, else the embedded server.

    `identity` is what the server calls this process, "pid@host" by default. Raises ConnectionFailed
    when no server answers, UsageError when the profile cannot be read.
    """
    settings = settings or Settings.from_env()
    config = configured()
    embedded = lease = None
    codec = codec_for(settings, config.get("target_host"))
    if not config.get("target_host"):
        lease = server.lease(settings)
        lease.take()
        try:
            embedded = await asyncio.to_thread(server.ensure, settings)
        except BaseException:
            lease.give_back()
            raise
        config["target_host"] = embedded.address
    temporal = await reach(config, identity, codec, insecure=settings.insecure)
    settings = replace(settings, store=settings.store_url(embedded=embedded is not None))
    claims = ClaimCheck.of(settings, temporal.data_converter.payload_codec)
    return GraphClient(temporal, settings, embedded, claims, lease)


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60] or "graph"
