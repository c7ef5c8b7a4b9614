"""What the calls of a run have used of their budgets, and whether there is enough left for another one.

Theory of operation
    A budget of a profile, of `metadata.needs`, or of `allow` of a node has a *ledger*. A call draws on all
    ledgers around it: that of its node, of the graphs and nodes outside, of the run. So a budget inside
    another one narrows it, and never adds to it.
    A call is counted when it is made. A call of a model also reserves tokens and money until its answer says
    what it has used; what is reserved counts, so calls at the same time together stay within the budget, but
    for what one of them uses beyond its reserve. An answer that does not say it has used what was reserved,
    and so has the call of a hedged pair that was cancelled: it may have.

Invariants
    Only models use tokens and money: `usage` in the result of another agent, which a page may have written,
    counts nothing. No count is negative, so no answer gives anything back.
    Ledgers follow from events alone, and are in snapshots: a run that continues as new, or is replayed, has
    used the same.
    If tokens or money are used up, pure agents are called still: they use none.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from perdure.engine.granting.prices import Prices, Spent, count_of
from perdure.engine.maps.opened_graphs import Outcome
from perdure.engine.messages import RunAgent
from perdure.engine.state import GraphRun
from perdure.errors import NotGranted
from perdure.graph.sizes import size_of
from perdure.graph.values import Value
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
    """The reserves of one run, by call; `runs` are its graphs, and `calls` those that are open."""

    runs: Mapping[int, GraphRun]
    calls: Container[int]
    prices: Prices
    _held: dict[int, tuple[int, str, Spent]] = field(default_factory=dict[int, tuple[int, str, Spent]])

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

    def hold(self, run: GraphRun, command: RunAgent) -> None:
        """Reserves for a call of a model that is on its way."""
        reserve = self._reserve({"inputs": command.inputs, "params": command.params})
        self._held[command.call] = run.id, command.node, reserve

    def settle(self, run: GraphRun, name: str, command: RunAgent, outcome: Outcome) -> None:
        """Counts what a call has used: that of a model by its answer, or what was reserved."""
        held = self._held.pop(command.call, None)
        if outcome.failure is not None:
            return
        if held is not None:
            used = self.prices.spent(outcome.value, command.params)
            _spend(run, name, used if used.tokens else held[-1])
        size = size_of(outcome.value)
        for ledger in _ledgers(run, name):
            ledger.bytes += size

    def lose(self, run: GraphRun, name: str, call: int | None) -> None:
        """A call is cancelled that may have used what it has reserved."""
        held = None if call is None else self._held.pop(call, None)
        if held is not None:
            _spend(run, name, held[-1])

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
        for call, (number, name, reserve) in [*self._held.items()]:
            run = self.runs.get(number)
            if run is None or call not in self.calls:
                del self._held[call]
            elif any(ledger is one for one in _ledgers(run, name)):
                total += reserve
        return total

    def _reserve(self, call: Mapping[str, Value]) -> Spent:
        """What a call of a model may use: its prompt, and as long an answer as it may have."""
        params: Mapping[str, Value] = call.get("params") or {}
        said = [count for key in _LIMITS if (count := count_of(params.get(key))) is not None]
        prompt = size_of(call.get("inputs")) // BYTES_PER_TOKEN_COUNT + 1
        answer = max(said, default=RESERVED_TOKEN_COUNT)
        return self.prices.estimate(params, prompt, answer)


def open_ledgers(run: GraphRun, outer: GraphRun | None, name: str, profile: Budget | None) -> None:
    """Gives a graph the ledgers that its calls draw on: those around it, and its own.

    `name` is the node of the `outer` graph that it is in; `profile` is the budget of the run.
    """
    around = () if outer is None else tuple(_ledgers(outer, name))
    own: list[Ledger] = []
    if profile is not None and not profile.is_free:
        own.append(_ledger(run, "@profile", profile, "the run"))
    if run.plan.needs_budget is not None:
        place = f"{run.path.rstrip('.')}: metadata.needs" if run.path else "metadata.needs"
        own.append(_ledger(run, "@needs", run.plan.needs_budget, place))
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
        run.budgets.setdefault(key, Ledger(Budget(), "")).resume(amounts)


def _ledgers(run: GraphRun, name: str) -> Iterator[Ledger]:
    """Those that a call of a node draws on."""
    yield from run.ledgers
    budget = run.plan.computed[name].budget
    if budget is not None:
        yield _ledger(run, f".{name}", budget, run.path + name)


def _ledger(run: GraphRun, key: str, budget: Budget, place: str) -> Ledger:
    """That of a budget, which a change of the run may have changed: what is used counts on."""
    ledger = run.budgets.setdefault(key, Ledger(budget, place))
    ledger.budget, ledger.place = budget, place
    return ledger


def _spend(run: GraphRun, name: str, used: Spent) -> None:
    for ledger in _ledgers(run, name):
        ledger.tokens += used.tokens
        ledger.money += used.money
