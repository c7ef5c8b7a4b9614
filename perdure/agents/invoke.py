"""Calling an agent: the same for every shell. Its time limit, its result, its failures."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from perdure.agents.agent import Agent, AgentContext
from perdure.agents.filters import AgentFilter, FilteredCall, through
from perdure.agents.local_data import keeps_messages, released, without_message
from perdure.agents.loop_watchdog import OpenCall
from perdure.agents.threads import in_thread
from perdure.engine.inbox.events import EventBatch, EventReceipt
from perdure.engine.messages import RunAgent
from perdure.engine.outcomes import as_agent_error
from perdure.errors import AgentError, AgentTimeout, FinalError, PerdureError, SizeExceeded
from perdure.graph.sizes import bounded
from perdure.graph.values import MAX_EXACT_INTEGER, Value
from perdure.net.call_secrets import CallSecrets
from perdure.protocol.numpy_arrays import from_python
from perdure.protocol.payloads import AgentCall


def context_of(call: AgentCall | RunAgent, **fields: Any) -> AgentContext:
    """What the agent of a call sees; `fields` are those that the call does not contain.

    What it emits and logs has no secret in it that the call uses.
    """
    secrets: CallSecrets | None = fields.get("secrets")
    if secrets is not None and secrets.rules:
        fields["log"] = _cleaned(fields["log"], secrets)
        if "emit" in fields:
            fields["emit"] = _cleaned(fields["emit"], secrets)
    return AgentContext(
        node=call.node,
        path=call.path,
        agent=call.agent,
        retry=call.retry,
        is_result=call.is_result,
        version=call.version,
        verbose=call.verbose,
        config=call.config,
        filter_params=call.filter_params,
        **fields,
    )


def _cleaned(show: Callable[[Value], Any], secrets: CallSecrets) -> Callable[[Value], Any]:
    return lambda value: show(secrets.cleaned(value))


SMALL_RESULT_MEMBER_COUNT: Final = 8
"""Members of an object that is looked at in one walk ..."""

SMALL_RESULT_CHARS: Final = 10_000
"""... and the characters that each of its strings and names may have, far below the bound of a value."""


async def invoke(
    agent: Agent | None,
    inputs: Value,
    params: Mapping[str, Value],
    context: AgentContext,
    timeout: float | None = None,
    filters: Sequence[AgentFilter] = (),
    path: str | None = None,
) -> Value:
    """What `unlimited` gives, within `timeout` milliseconds; without a timeout, the `call_limit` of the
    settings holds: an agent that hangs is not to keep its slot.

    A function that is neither async nor pure runs in a thread of its own, which continues after a timeout:
    there is no way to stop a thread, but no other call waits for it.
    """
    if timeout is None and agent is not None and agent.pure and not filters:
        # It runs in the event loop, where no limit reaches it.
        return await unlimited(agent, inputs, params, context, path=path)
    seconds = timeout / 1000 if timeout is not None else context.settings.call_limit
    try:
        async with asyncio.timeout(seconds):
            return await unlimited(agent, inputs, params, context, filters, path)
    except TimeoutError:
        raise AgentTimeout(seconds if timeout is None else None) from None


async def unlimited(
    agent: Agent | None,
    inputs: Value,
    params: Mapping[str, Value],
    context: AgentContext,
    filters: Sequence[AgentFilter] = (),
    path: str | None = None,
) -> Value:
    """The agent's result, as a value of the language, however long it takes.

    The call goes through `filters`, all of which apply to it. Without an agent, a name that
    bypassAgentIds allows, the result is null where none of them answers. Calls that see nothing of
    their context may share one: `path` is then the place of this one. Raises AgentError, or one of its
    kinds, for whatever goes wrong.
    """
    try:
        with OpenCall(context.agent, path or context.path, None if agent is None else agent.code):
            if filters or agent is None:
                call = FilteredCall(agent=agent, inputs=inputs, params=params, context=context)
                return context.secrets.cleaned(await _filtered(call, filters))
            return context.secrets.cleaned(await _call(agent, inputs, params, context, path))
    except (Exception, SystemExit) as error:
        if context.secrets.are_used:  # the causes of the failure hold the value as well
            raise context.secrets.cleaned_error(as_agent_error(error)) from None
        if isinstance(error, PerdureError):
            raise  # an agent that exits is not to take the worker along
        raise as_agent_error(error) from error


async def _filtered(call: FilteredCall, filters: Sequence[AgentFilter]) -> Value:
    return normal(call.context.agent, await through(filters, call, _last))


async def _last(call: FilteredCall) -> Value:
    if call.agent is None:
        return None
    return await _call(call.agent, call.inputs, call.params, call.context)


async def _call(
    agent: Agent, inputs: Value, params: Mapping[str, Value], context: AgentContext, path: str | None = None
) -> Value:
    if not agent.sees_context or not context.data.known:
        return await _plain_call(agent, inputs, params, context, path)
    access, rule = context.data, context.settings.data_egress
    try:
        value = await _plain_call(agent, inputs, params, _quiet(context), path)
    except (Exception, SystemExit) as error:
        if error is access.refusal or not keeps_messages(access, rule):
            raise
        raise without_message(error, access) from None
    return released(agent.name, value, access, rule)


async def _plain_call(
    agent: Agent, inputs: Value, params: Mapping[str, Value], context: AgentContext, path: str | None
) -> Value:
    if agent.is_async and agent.sees_context and context.secrets.rules:
        await context.secrets.read_ahead()
    if agent.is_async or agent.pure:
        result = agent.call(inputs, params, context)
    else:
        name = f"agent {agent.name} ({path or context.path})"
        result = await in_thread(name, agent.call, inputs, params, context)
    return normal(agent.name, await result if inspect.isawaitable(result) else result)


def _quiet(context: AgentContext) -> AgentContext:
    """The context whose stream and console end, and that sends no events, once the call has opened data."""
    access, rule, emit, log = context.data, context.settings.data_egress, context.emit, context.log
    send = context.send

    async def emit_or_keep(piece: Value, /) -> None:
        if not keeps_messages(access, rule):
            await emit(piece)

    def log_or_keep(line: str, /) -> None:
        if not keeps_messages(access, rule):
            log(line)

    async def send_or_refuse(run: str, batch: EventBatch, /) -> EventReceipt:
        if send is None or keeps_messages(access, rule):
            raise FinalError(
                "a call that has opened local data sends no events", hint="let another node send them"
            )
        return await send(run, batch)

    sending = None if send is None else send_or_refuse
    return replace(context, emit=emit_or_keep, log=log_or_keep, send=sending)


def normal(agent: str, result: Any) -> Value:
    """What an agent returned, as a value of the language. Raises AgentError for what is none or too large."""
    plain = _copied_if_plain(result)
    if plain is not None:
        return plain
    try:
        return from_python(bounded(result))
    except SizeExceeded as error:
        raise SizeExceeded(error.size, error.limit, f"{agent}: ") from error
    except TypeError as error:
        raise AgentError(f"{agent}: {error}") from error


def _copied_if_plain(result: Any) -> Value:
    """A copy of a small object that is as the language holds it; None for anything else.

    Most pure agents return one. It is walked once here, and not once to measure it and once to copy it.
    """
    if result.__class__ is not dict or len(result) > SMALL_RESULT_MEMBER_COUNT:
        return None
    for name, item in result.items():
        kind = item.__class__
        if kind is int:
            is_plain = -MAX_EXACT_INTEGER <= item <= MAX_EXACT_INTEGER
        elif kind is str:
            is_plain = len(item) <= SMALL_RESULT_CHARS
        else:
            is_plain = kind is bool or item is None
        if not is_plain or name.__class__ is not str or len(name) > SMALL_RESULT_CHARS:
            return None
    return result.copy()


async def close_clients() -> None:
    """Closes the HTTP clients that agents opened in this event loop, if they ever opened one."""
    if "perdure.agents.llm.openai_client" in sys.modules:
        from perdure.agents.llm import openai_client  # noqa: PLC0415 -- its libraries take long to import

        await openai_client.close_clients()
