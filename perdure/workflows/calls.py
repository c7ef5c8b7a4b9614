"""Calls of agents, in Temporal's words: the input of an activity, what its failure means."""

from __future__ import annotations

from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError

from perdure.engine.messages import AgentFailed, RunAgent
from perdure.engine.outcomes import failure_of_kind
from perdure.protocol.payloads import AgentCall


def agent_call(command: RunAgent, run: str, bypassed: bool) -> AgentCall:
    """What the activity of an agent receives; `run` is the id of the first run of the chain."""
    return AgentCall(
        agent=command.agent,
        inputs=command.inputs,
        params=command.params,
        config=command.config,
        filter_params=command.filter_params,
        node=command.node,
        path=command.path,
        key=command.key,
        run=run,
        retry=command.retry,
        is_result=command.is_result,
        version=command.version,
        verbose=command.verbose,
        timeout=command.options.timeout,
        bypassed=bypassed,
    )


def failure(call: int, error: BaseException) -> AgentFailed:
    """What an activity's failure means for the node."""
    cause = error.cause if isinstance(error, ActivityError) else error
    if isinstance(cause, ApplicationError):
        return failure_of_kind(cause.type, cause.message).answer(call)
    if isinstance(cause, TimeoutError):
        last = cause.cause or cause.__cause__
        because = f": {last}" if last is not None else ""
        return AgentFailed(call, f"no worker finished it in time ({cause.message}){because}", final=True)
    return AgentFailed(call, str(cause or error), final=True)
