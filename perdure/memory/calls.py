"""Calls of agents in memory: their attempts, what they see, the state that they are made on."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from perdure.agents.agent import Agent, AgentContext
from perdure.agents.filters import AgentFilter
from perdure.agents.invoke import context_of, invoke
from perdure.agents.local_data import LocalDataAccess
from perdure.engine.attempts import AttemptAccount, attempt_s, deadline_failure, verdict
from perdure.engine.messages import AgentCompleted, AgentFailed, RunAgent
from perdure.engine.outcomes import failure_of
from perdure.graph.values import Value
from perdure.memory.environment import MemoryEnvironment
from perdure.memory.sessions import MemorySessions
from perdure.policy.grant import Grant
from perdure.protocol.idempotency import work_key


@dataclass(frozen=True, slots=True)
class MemoryCalls:
    """Those of one run."""

    environment: MemoryEnvironment
    sessions: MemorySessions = field(default_factory=MemorySessions)

    async def tried(
        self, agent: Agent | None, command: RunAgent, filters: Sequence[AgentFilter]
    ) -> AgentCompleted | AgentFailed:
        """The agent's answer; after transient failures it is called again, as in a durable run."""
        options, account = command.options, AttemptAccount()
        began = time.monotonic()
        while True:
            context = self.context(command, account.transient + 1)
            deadline = asyncio.timeout(attempt_s(options.deadline, time.monotonic() - began, account))
            try:
                async with deadline:
                    result = await self._invoked(agent, command, context, filters)
                return AgentCompleted(command.call, result)
            except Exception as error:
                if deadline.expired():
                    return deadline_failure(options.deadline or 0, account.last).answer(command.call)
                failure = failure_of(error)
            if failure.session_lost and options.session is not None:
                if (lost := self.sessions.lost(command)) is not None:
                    return lost
                continue
            passed = time.monotonic() - began
            after = verdict(failure, account, self.environment.settings, options, passed, random.random())
            if not after.failure.transient:
                return after.failure.answer(command.call)
            account = after.account
            await asyncio.sleep(after.pause_s)

    async def _invoked(
        self, agent: Agent | None, command: RunAgent, context: AgentContext, filters: Sequence[AgentFilter]
    ) -> Value:
        timeout = command.options.timeout
        if command.options.session is None:
            return await invoke(agent, command.inputs, {**command.params}, context, timeout, filters)

        async def call_state(state: object, inputs: Value, params: Mapping[str, Value], key: str) -> Value:
            seen = replace(context, session=state, idempotency_key=key)
            return await invoke(agent, inputs, {**params}, seen, timeout, filters)

        return await self.sessions.call(agent, command, call_state)

    def context(self, command: RunAgent, attempt: int = 1) -> AgentContext:
        """What the agent of a call sees."""
        stream = self.environment.stream
        streams = {} if stream is None else {"emit": partial(stream, command, attempt)}
        grant = Grant() if command.grant is None else Grant.read(command.grant)
        key = work_key("memory", command.key, command.retry, command.inputs, command.params)
        return context_of(
            command,
            run="memory",
            attempt=attempt,
            idempotency_key=key,
            settings=self.environment.settings,
            grant=grant,
            secrets=self.environment.secrets(command.agent, grant),
            log=self.environment.console,
            local_models=self.environment.local_models,
            data=LocalDataAccess(self.environment.settings.data),
            send=self.environment.send,
            **streams,
        )
