"""Rules by which many parties come to one decision, or find that they do not.

- Majority: an offer wins that enough parties make or accept.
- Monotonic concession (Rosenschein and Zlotkin, "Rules of Encounter", 1994), for numbers: no party may move
  away from the others again; a move away is ignored. Enough offers within the tolerance are a deal, at their
  median. A round in which no party moves is a deadlock.
- Contract net (Smith, 1980; FIPA): the lowest cost wins the task, the first of equal ones.

A silent party has no vote. No rule waits: what to do without it is the caller's to decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from perdure.graph.javascript import stringify, to_string


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a round has come to. `agreed` with the offer; or not yet; or `over` without a deal."""

    agreed: bool = False
    over: bool = False
    offer: Any = None
    by: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Bid:
    """What a party says in one round. `accepts` are the parties whose offers it would take too."""

    who: str
    offer: Any = None
    accepts: tuple[str, ...] = ()


def majority(bids: Sequence[Bid], needed: int) -> Verdict:
    """The offer with the most parties behind it, the first of equal ones, if they are at least `needed`."""
    behind: dict[str, list[str]] = {}
    offers = {bid.who: bid.offer for bid in bids if bid.offer is not None}
    for bid in bids:
        liked = [bid.who, *bid.accepts]
        for text in dict.fromkeys(to_string(stringify(offers[who])) for who in liked if who in offers):
            behind.setdefault(text, []).append(bid.who)
    if not behind:
        return Verdict(why="no party made an offer")
    best = max(behind, key=lambda text: len(behind[text]))
    by = tuple(behind[best])
    offer = next(offer for offer in offers.values() if to_string(stringify(offer)) == best)
    if len(by) >= needed:
        return Verdict(agreed=True, offer=offer, by=by, why=f"{len(by)} of {len(bids)} agree")
    return Verdict(offer=offer, by=by, why=f"{len(by)} agree, {needed} are needed")


def conceded(bids: Sequence[Bid], before: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
    """The offers that hold after a round, and who moved away from the others, whose earlier offer holds.

    A party may stay, or come closer to the mean of what the others offered before.
    """
    offers: dict[str, float] = dict(before)
    retreated: list[str] = []
    for bid in bids:
        others = [value for who, value in before.items() if who != bid.who]
        if bid.who in before and others:
            goal = sum(others) / len(others)
            if abs(bid.offer - goal) > abs(before[bid.who] - goal):
                retreated.append(bid.who)
                continue
        offers[bid.who] = bid.offer
    return offers, retreated


def concession(bids: Sequence[Bid], before: Mapping[str, float], needed: int, tolerance: float) -> Verdict:
    """A deal if `needed` offers lie within `tolerance` of each other: the median of the closest ones.

    `before` are the offers that held after the round before; empty in the first.
    """
    offers, _ = conceded(bids, before)
    order = sorted(offers, key=lambda who: offers[who])
    windows = [order[start : start + needed] for start in range(len(order) - needed + 1)]
    if windows:
        closest = min(windows, key=lambda window: offers[window[-1]] - offers[window[0]])
        if offers[closest[-1]] - offers[closest[0]] <= tolerance:
            deal = median(offers[who] for who in closest)
            by = tuple(who for who in offers if abs(offers[who] - deal) <= tolerance)
            return Verdict(agreed=True, offer=deal, by=by, why=f"{len(by)} offers meet")
    if before and offers == dict(before):
        return Verdict(over=True, why="deadlock: no party moved")
    return Verdict(why="the offers are too far apart")


def contract_net(bids: Sequence[Bid]) -> Verdict:
    """The lowest of the costs that the parties offer."""
    if not bids:
        return Verdict(why="no party bids")
    best = min(bids, key=lambda bid: bid.offer)
    return Verdict(agreed=True, offer=best.offer, by=(best.who,), why=f"the lowest of {len(bids)} bids")
