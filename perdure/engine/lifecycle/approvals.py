"""Calls that are refused, and that a person may approve where the policy of the run says so.

Theory of operation
    A call is refused before anything is sent. Where the profile says `violation: ask`, the node then asks:
    the question is a call of its own, which the shell puts as it puts those of humanInputAgent, and which
    waits, is in snapshots and is answered as they are. Approved, the node is attempted again.

Invariants
    An approval holds for a digest of the call: agent, place, inputs, params, its graph, queue and labels.
    The attempt computes it again, so what has changed since then is asked about again; only `@now` stays
    what it was. Another iteration, row or run has nodes of its own, and asks as well. What the digest is
    computed of does not go to the store meanwhile (perdure.engine.large_values): a value there counts by its
    hash.
    The path of the question ends with the digest, and its answer has to name that: an answer to another
    question of the node, or an earlier one, does not count.
    A refusal, and a question that is not answered in time, end the node. Neither is tried again, and a
    fallback does not take the place of the call.

Rejected: approvals that hold for an agent, or for a host. The next call may be the one that a page wrote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from perdure.engine import node_semantics
from perdure.engine.board import Board, InFlight, Rules
from perdure.engine.granting.budgets import Budgets
from perdure.engine.human_tasks import APPROVAL_CHOICES, APPROVED_CHOICE
from perdure.engine.lifecycle.places import places_of
from perdure.engine.maps.opened_graphs import Outcome
from perdure.engine.messages import NodeOptions, RunAgent
from perdure.engine.state import GraphRun, NodeRun, NodeState
from perdure.errors import NotGranted
from perdure.graph.deferred import described
from perdure.graph.human_input import APPROVAL, CHOICE_FIELD
from perdure.graph.text.json_dump import dump
from perdure.graph.values import Value, is_dict, is_list
from perdure.policy.approvals import Approvers

APPROVAL_MARK: Final = "~"
"""Between the path of a call and its digest, in the path of a question."""

SHOWN_DIGEST_CHARS: Final = 16
"""Digits of the digest that the path of a question ends with."""

MAX_SHOWN_INPUT_CHARS: Final = 4_000
"""Characters of the inputs of a call that its question shows."""


class Approvals:
    """Asks for approval of calls, and knows which were approved."""

    def __init__(self, board: Board, rules: Rules) -> None:
        self._board = board
        self._rules = rules
        self.budgets = Budgets(board.runs, board.calls, rules.authority.prices)

    def granted(self, run: GraphRun, name: str, agent: str, queue: str | None) -> Mapping[str, Value] | None:
        """What a call may do that was approved, or draws on a budget. Raises NotGranted."""
        call, digest = self._call(run, name), ""
        if run.nodes[name].approved:
            digest = _digest_of(call)
        granted = self.granted_again(run, name, agent, queue, digest)
        if agent not in self._rules.own:
            asks_model, is_pure = self._rules.authority.use_of(agent)
            is_forced = self._is_approved(run.nodes[name], digest)
            use = {"asks_model": asks_model, "is_pure": is_pure, "forced": is_forced}
            self.budgets.charge(run, name, call, **use)
        return granted

    def granted_again(
        self, run: GraphRun, name: str, agent: str, queue: str | None, digest: str
    ) -> Mapping[str, Value] | None:
        """The same for a call with this digest that is counted already."""
        node, authority = run.nodes[name], self._rules.authority
        if self._is_approved(node, digest):
            return authority.approved(node.approved or ())
        return authority.of_call(run, name, agent, queue)

    def _is_approved(self, node: NodeRun, digest: str) -> bool:
        return self.asks and node.approved is not None and node.approved[0] == digest

    @property
    def asks(self) -> bool:
        """Whether people decide on what is refused."""
        return self._rules.authority.asks is not None

    def depends_on(self, run: GraphRun, name: str) -> bool:
        """Whether a call of the node is approved, or a person is or may be asked about it."""
        node, authority = run.nodes[name], self._rules.authority
        if not self.asks or node.state is not NodeState.EXECUTING:
            return False
        flight = self._board.calls.get(node.call or 0)
        is_asked = flight is not None and self.is_question(flight)
        return is_asked or bool(node.approved) or authority.sends_private(run, name)

    def ask(self, run: GraphRun, name: str, error: Exception) -> bool:
        """Whether a person is asked now about a call that failed before it was made: it was refused."""
        authority = self._rules.authority
        if authority.asks is None or not isinstance(error, NotGranted):
            return False
        call = self._call(run, name)
        if not authority.may_ask(run, name, call["agent"], call.get("queue")):
            return False
        made_ms = run.nodes[name].approved_ms
        self._send(run, name, error.finding, call, run.now_ms if made_ms is None else made_ms)
        return True

    def ask_about(self, run: GraphRun, name: str, flight: InFlight, outcome: Outcome) -> bool:
        """Whether a person is asked about a call with private data that the worker refused to send.

        Only the worker knows which host a request is for, so it alone can refuse that.
        """
        command = flight.command
        if not isinstance(command, RunAgent):
            return False
        authority, node = self._rules.authority, run.nodes[name]
        if authority.asks is None or node.approved or not authority.sends_private(run, name):
            return False
        self._board.count_call()
        made = command.agent, command.inputs, command.params, command.options.queue
        finding = (outcome.failure or "").partition("\n")[0]
        self._send(run, name, finding, self._facts(run, name, *made), flight.since)
        return True

    def is_question(self, flight: InFlight) -> bool:
        """Whether a call asks for approval."""
        return isinstance(flight.command, RunAgent) and flight.command.agent == APPROVAL

    def decide(self, node: NodeRun, question: RunAgent, outcome: Outcome) -> str | None:
        """Takes the answer to a question; why the call is refused, None where it was approved."""
        inputs: Any = question.inputs
        value, refused = outcome.value, f"{inputs['refused']}"
        if outcome.failure is not None:
            late = "no person approved it in time" if outcome.failure == "Timeout" else outcome.failure
            return f"{refused}; {late}"
        answer = value.get("answer") if is_dict(value) else None
        if answer is None:
            return f"{refused}; there is no person to ask"
        by = [str(one.get("who") or "") for one in value.get("by", ())] if is_dict(value) else []
        if is_dict(answer) and answer.get(CHOICE_FIELD) == APPROVED_CHOICE:
            node.approved = [inputs["digest"], *by]
            return None
        people = ", ".join(filter(None, by[-1:])) or "a person"
        return f"{refused}; {people} refused it"

    def _send(self, run: GraphRun, name: str, finding: str, call: Mapping[str, Value], made_ms: int) -> None:
        """Asks about a call whose inputs are those of the time `made_ms`."""
        facts, node = {**call, "digest": _digest_of(call), "refused": finding}, run.nodes[name]
        asks = self._rules.authority.asks
        node.call = self._board.new_call()
        node.approved_ms = made_ms if asks is not None and asks.keeps_time else None
        self._board.send(run, name, question(self._rules, run, name, facts))

    def _call(self, run: GraphRun, name: str) -> dict[str, Value]:
        """The call that the node would make, as plain data."""
        plan = run.plan.computed[name]
        agent = plan.agent if isinstance(plan.agent, str) else node_semantics.agent_of(run, plan.agent)
        approved_ms = run.nodes[name].approved_ms
        inputs = node_semantics.inputs_of(run, plan, self._board.fuel, approved_ms=approved_ms)
        params = node_semantics.params_of(run, plan, inputs)
        call = self._facts(run, name, agent, inputs, params, places_of(run, plan)[0] or plan.options.queue)
        if plan.graph is not None and agent in self._rules.own:  # no other agent sees its graph
            call["graph"] = node_semantics.graph_of(run, plan.graph)
        return call

    def _facts(
        self,
        run: GraphRun,
        name: str,
        agent: Value,
        inputs: Value,
        params: Mapping[str, Value],
        queue: str | None,
    ) -> dict[str, Value]:
        call: dict[str, Value] = {
            "agent": agent,
            "inputs": inputs,
            "params": dict(params),
            "place": run.path_of(name).partition("#")[0],
            "labels": self._rules.authority.labels_of(run, name),
        }
        return call if queue is None else {**call, "queue": queue}


def question(
    rules: Rules, run: GraphRun, name: str, facts: Mapping[str, Value], message: str = ""
) -> RunAgent:
    """The command that asks about a call; `facts` are the call, its digest and why it is refused.

    The `message` of a question that is asked already stays: the inputs that it shows may be in the store.
    """
    node, path, asks = run.nodes[name], run.path_of(name), rules.authority.asks or Approvers()
    mark = f"{APPROVAL_MARK}{facts['digest'][:SHOWN_DIGEST_CHARS]}"
    params: dict[str, Value] = {
        "message": message or _message(facts),
        "choices": list(APPROVAL_CHOICES),
        "who": list(asks.who),
        "timeout": {"after": asks.expires_ms},
    }
    if asks.quorum > 1:
        params["quorum"] = {"need": asks.quorum, "same": CHOICE_FIELD, "against": APPROVAL_CHOICES[1]}
    if asks.notify:
        params["notify"] = list(asks.notify)
    return RunAgent(
        call=node.call or 0,
        node=name,
        path=path + mark,
        key=run.key_of(name) + mark,
        agent=APPROVAL,
        inputs=dict(facts),
        params=params,
        config={},
        filter_params={},
        retry=0,
        is_result=False,
        version=run.plan.version,
        verbose=False,
        options=NodeOptions(),
    )


def _message(facts: Mapping[str, Value]) -> str:
    """What is asked: why, and the call as it would be made."""
    shown: dict[str, Value] = {"inputs": facts["inputs"]}
    shown |= {key: facts[key] for key in ("params", "queue") if facts.get(key)}
    lines = [f"May {facts['agent']} be called? {facts['refused']}"]
    lines += [f"{key}: {_shown(value)}" for key, value in shown.items()]
    if facts["labels"]:
        lines.append(f"its data is {', '.join(facts['labels'])}")
    return "\n".join([*lines, f"SHA-256 of the call: {facts['digest']}"])


def _shown(value: Value) -> str:
    text = _json(described(value))
    left = len(text) - MAX_SHOWN_INPUT_CHARS
    return text if left <= 0 else f"{text[:MAX_SHOWN_INPUT_CHARS]}… ({left:,} characters more)"


def _json(value: Value) -> str:
    try:
        return dump(value).decode()
    except (TypeError, ValueError):  # undefined, NaN
        return str(value)


def _digest_of(call: Mapping[str, Value]) -> str:
    """The SHA-256 of a call; a value of the store counts by its hash, as does an array."""
    text = repr(_canonical(dict(call)))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _canonical(value: Value) -> Any:
    """The value in the one form that does not depend on the order of keys, or on how a number is written."""
    if is_dict(value):
        return {key: _canonical(value[key]) for key in sorted(value)}
    if is_list(value):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
