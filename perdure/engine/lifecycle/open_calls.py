"""Open calls in a snapshot (perdure.engine.snapshot): as plain data, and sent again."""

from __future__ import annotations

from collections.abc import Container, Mapping
from contextlib import suppress

from perdure.engine.board import Board, InFlight
from perdure.engine.lifecycle.approvals import question
from perdure.engine.lifecycle.hedges import second_call
from perdure.engine.lifecycle.nodes import NodeLifecycle
from perdure.engine.messages import AgentFailed, Command, Fetch, RunAgent, Settle, Starting, StartTimer
from perdure.engine.node_semantics import agent_call
from perdure.errors import NotGranted
from perdure.graph.human_input import APPROVAL
from perdure.graph.values import Value
from perdure.policy.grant import APPROVED, NOTHING


def call_data(board: Board, call: int, calls: Container[int] | None) -> dict[str, Value]:
    """A call as plain data, without its inputs where it is not one of `calls`.

    Those of a question, and those that a budget depends on, are always there.
    """
    flight = board.calls[call]
    data: dict[str, Value] = {"call": call, "run": flight.run, "node": flight.node, "since": flight.since}
    command = flight.command
    if isinstance(command, Fetch):
        fetch = {"distant": command.deferred, "whole": command.whole, "then": command.then}
        return data | fetch | {"result": command.result, "told": command.carried}
    if isinstance(command, RunAgent):
        data |= {"agent": command.agent}
        if command.grant is not None and APPROVED in command.grant:
            data |= {"approved": command.grant[APPROVED][0]}
        is_needed = command.agent == APPROVAL or board.runs[flight.run].is_guarded
        if calls is None or call in calls or is_needed:
            data |= {"inputs": command.inputs, "params": command.params}
        if command.options.session is not None:
            data |= {"session": command.options.session.id}
        return data if command.options.queue is None else data | {"on": command.options.queue}
    if isinstance(command, StartTimer):
        return data | {"milliseconds": command.milliseconds}
    return data | {"turns": command.turns}


def _granted(nodes: NodeLifecycle, data: Mapping[str, Value]) -> Mapping[str, Value] | None:
    """What a call may do that is open. One that is not allowed any more may do nothing."""
    known = data["agent"], data.get("on"), data.get("approved", "")
    with suppress(NotGranted):
        return nodes.approvals.granted_again(nodes.board.runs[data["run"]], data["node"], *known)
    return NOTHING.written()


def refused(command: Command) -> AgentFailed | None:
    """The failure of a call of a run that continues, if it is to be sent and not allowed any more.

    The policy of the worker has become narrower since the run has made it, or a change of the run has.
    """
    if not isinstance(command, RunAgent) or command.grant != NOTHING.written():
        return None
    finding = f"{command.path}: not granted: a call that was open when the policy, or the graph, was narrowed"
    return AgentFailed(command.call, finding, final=True, refused=True)


def reissued(nodes: NodeLifecycle, data: Mapping[str, Value]) -> Starting:
    """Notes a call that is open, and gives the command to send for it now."""
    board, rules, call = nodes.board, nodes.rules, data["call"]
    run, name = board.runs[data["run"]], data["node"]
    again: Starting
    if "distant" in data:
        noted = again = Fetch(
            call=call,
            deferred=data["distant"],
            whole=data["whole"],
            then=data["then"],
            result=data["result"],
            carried=data.get("told", {}),
        )
    elif "turns" in data:
        noted = again = Settle(call, data["turns"])
    elif "milliseconds" in data:
        noted = StartTimer(call, data["milliseconds"])
        again = StartTimer(call, max(0, noted.milliseconds - board.clock.now_ms + data["since"]))
    else:
        called = data["agent"], data.get("inputs", {}), data.get("params", {}), data.get("on")
        granted = None
        if data["agent"] != APPROVAL:
            granted = _granted(nodes, data)
        if data["agent"] == APPROVAL:
            noted = again = question(rules, run, name, called[1], called[2].get("message", ""))
        elif run.nodes[name].hedge == call:
            noted = again = second_call(rules, run, name, *called, granted)
        else:
            session = data.get("session")
            noted = again = agent_call(rules, run, name, *called, granted, session)
        if run.is_guarded and rules.authority.use_of(data["agent"])[0]:
            nodes.approvals.budgets.hold(run, noted)
    board.calls[call] = InFlight(run.id, name, noted, data["since"])
    return again
