"""What the calls of a run have used of their budgets, and whether there is enough left for another one.

Theory of operation
    A budget of a profile, of `metadata.needs`, or of `allow` of a node has a *ledger*. A call draws on all
    ledgers around it: that of its node, of the graphs and nodes outside, of the run. So a budget inside
    another one narrows it, and never adds to it.
    A call is counted when it is made. A call of a model also reserves tokens and money until its answer says
    what it has used; what is reserved counts, so calls at the same time together stay within the budget, but
    for what one of them uses beyond its reserve.

Invariants
    Ledgers follow from events alone, and are in snapshots: a run that continues as new, or is replayed, has
    used the same.
    If tokens or money are used up, pure agents are called still: they use none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from perdure.engine.granting.prices import Prices, Spent
from perdure.engine.maps.opened_graphs import Outcome
from perdure.engine.messages import RunAgent
from perdure.engine.state import GraphRun
from perdure.errors import NotGranted
from perdure.graph.sizes import size_of
from perdure.graph.values import Value, is_dict, is_number
from perdure.policy.budgets import Budget
from perdure.policy.ledger import Ledger

RESERVED_TOKEN_COUNT: Final = 1_000
"""Tokens that a call of a model reserves for its answer, where it does not say `max_tokens`."""

BYTES_PER_TOKEN_COUNT: Final = 4
"""Bytes of a prompt for each token that it is reserved."""

_LIMITS: Final = ("max_tokens", "max_completion_tokens")
_HINT: Final = (
    "a larger budget is for the policy of the worker, `metadata.needs` and `allow` on the way to say"
)


@dataclass(slots=True)
class Budgets:
    """The reserves of one run; `runs` are its graphs."""

    runs: Mapping[int, GraphRun]
    prices: Prices
    _held: dict[tuple[int, str], Spent] = field(default_factory=dict[tuple[int, str], Spent])

    def charge(
        self,
        run: GraphRun,
        name: str,
        call: Mapping[str, Value],
        *,
        asks_model: bool,
        is_pure: bool,
        forced: bool,
    ) -> None:
        """Counts a call that is to be made. Raises NotGranted where too little is left, unless `forced`."""
        ledgers, place = [*_ledgers(run, name)], run.path_of(name)
        reserve = self._reserve(call) if asks_model else Spent()
        for ledger in () if forced else ledgers:
            if ledger.budget.money < float("inf") and asks_model and not self.prices.by_model:
                finding = f"{place}: not granted: a model whose price is not known, with a budget of money"
                raise NotGranted(finding, hint="give the worker prices: PERDURE_PRICES")
            short = self._short(ledger, reserve, is_pure=is_pure)
            if short:
                finding = f"{place}: not granted: more than the budget of {ledger.place}: {short}"
                raise NotGranted(finding, hint=_HINT)
        for ledger in ledgers:
            ledger.calls += 1
        if asks_model:
            self._held[run.id, name] = reserve

    def hold(self, run: GraphRun, name: str, command: RunAgent) -> None:
        """Reserves again for a call of a model that is on its way."""
        self._held[run.id, name] = self._reserve({"inputs": command.inputs, "params": command.params})

    def settle(self, run: GraphRun, name: str, command: RunAgent, outcome: Outcome) -> None:
        """Counts what a call has used, by its answer: a stored one, which is not here, what was reserved."""
        reserve = self._held.pop((run.id, name), None)
        if outcome.failure is not None:
            return
        used = self.prices.spent(outcome.value, command.params)
        if reserve is not None and not is_dict(outcome.value):
            used = reserve
        size = size_of(outcome.value)
        for ledger in _ledgers(run, name):
            ledger.tokens += used.tokens
            ledger.money += used.money
            ledger.bytes += size

    def _short(self, ledger: Ledger, reserve: Spent, *, is_pure: bool) -> str:
        """What there is too little of, "" if there is enough."""
        budget = ledger.budget
        if ledger.calls + 1 > budget.calls:
            return f"{ledger.calls:g} of {budget.calls:g} calls are made"
        if ledger.bytes >= budget.bytes:
            return f"{ledger.bytes:g} of {budget.bytes:g} bytes of results are there"
        if is_pure:
            return ""
        held = self._held_of(ledger)
        for kind in ("tokens", "money"):
            limit, used = getattr(budget, kind), getattr(ledger, kind)
            more = getattr(held, kind) + getattr(reserve, kind)
            if used + more > limit or used >= limit:
                return f"{used:g} of {limit:g} {kind} are used, and {more:g} would be reserved"
        return ""

    def _held_of(self, ledger: Ledger) -> Spent:
        """What calls on their way have reserved of a budget; those that were cancelled are forgotten."""
        total = Spent()
        for (number, name), reserve in [*self._held.items()]:
            run = self.runs.get(number)
            if run is None or run.nodes[name].call is None:
                del self._held[number, name]
            elif any(ledger is one for one in _ledgers(run, name)):
                total += reserve
        return total

    def _reserve(self, call: Mapping[str, Value]) -> Spent:
        """What a call of a model may use: its prompt, and as long an answer as it may have."""
        params: Mapping[str, Value] = call.get("params") or {}
        said: list[Any] = [params[key] for key in _LIMITS if is_number(params.get(key))]
        prompt = size_of(call.get("inputs")) // BYTES_PER_TOKEN_COUNT + 1
        answer = float(said[0]) if said else RESERVED_TOKEN_COUNT
        return self.prices.estimate(params, prompt, answer)


def open_ledgers(run: GraphRun, outer: GraphRun | None, name: str, profile: Budget | None) -> None:
    """Gives a graph the ledgers that its calls draw on: those around it, and its own.

    `name` is the node of the `outer` graph that it is in; `profile` is the budget of the run.
    """
    around = () if outer is None else tuple(_ledgers(outer, name))
    own: list[Ledger] = []
    if profile is not None and not profile.is_free:
        own.append(run.budgets.setdefault("@profile", Ledger(profile, "the run")))
    if run.plan.needs_budget is not None:
        place = f"{run.path.rstrip('.')}: metadata.needs" if run.path else "metadata.needs"
        own.append(run.budgets.setdefault("@needs", Ledger(run.plan.needs_budget, place)))
    run.ledgers = (*around, *own)
    guard(run)


def guard(run: GraphRun) -> None:
    """Notes whether calls of a graph draw on a budget, or one was approved."""
    run.is_guarded = (
        bool(run.ledgers) or run.plan.has_budgets or any(node.approved for node in run.nodes.values())
    )


def resume_ledgers(run: GraphRun, used: Mapping[str, Value]) -> None:
    """Continues with what the calls of a graph had used, and with what was approved."""
    guard(run)
    for key, amounts in used.items():
        if key[0] == "." and key not in run.budgets:
            for _ in _ledgers(run, key[1:]):
                pass
        if key in run.budgets:
            run.budgets[key].resume(amounts)


def _ledgers(run: GraphRun, name: str) -> Iterator[Ledger]:
    """Those that a call of a node draws on."""
    yield from run.ledgers
    budget = run.plan.computed[name].budget
    if budget is not None:
        key = f".{name}"
        if key not in run.budgets:
            run.budgets[key] = Ledger(budget, run.path_of(name))
        yield run.budgets[key]
