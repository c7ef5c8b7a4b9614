"""Agents that negotiate: what a model says becomes a bid, and the bids of a round a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from perdure.agents.agent import Sample, agent
from perdure.agents.distributed.maths import negotiation
from perdure.agents.distributed.maths.negotiation import Bid, Verdict
from perdure.agents.distributed.values import count_of, number_of, optional
from perdure.agents.schema import anything, array, fields, flag, mapping, number, text
from perdure.errors import AgentError, FinalError
from perdure.graph.functions import code_block
from perdure.graph.javascript import parse
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, is_number


@agent(
    "bidAgent",
    pure=True,
    description="Reads the bid in a model's answer, and holds it within the party's own limit",
    category="agreement",
    inputs=fields(
        "who",
        "text",
        who=mapping("the party: {name, limit, side}; side is most (its limit is a maximum) or least (most)"),
        text=text("JSON {offer, accept, why}, alone, in a code block, or within other words"),
    ),
    output=fields(
        who=text("the name"),
        offer=anything("a number within the limit, or what the party offers instead"),
        accept=array("names of parties whose offers it would take", text()),
        why=text(),
        limited=flag("whether the offer was beyond the limit"),
    ),
    samples=[
        Sample(
            inputs={
                "who": {"name": "north", "limit": 90},
                "text": 'I propose {"offer": 120, "accept": ["south"], "why": "uptime"}.',
            },
            result={"who": "north", "offer": 90, "accept": ["south"], "why": "uptime", "limited": True},
        )
    ],
)
def bid(inputs: dict[str, Value]) -> Value:
    """A model may say what it likes: beyond its limit a party never goes.

    Raises AgentError for an answer without such JSON, so that `retry` asks the model again.
    """
    who = inputs.get("who")
    if not is_dict(who) or not isinstance(who.get("name"), str):
        raise FinalError("bidAgent: inputs.who: expected {name, limit}")
    said = _object_in(inputs.get("text"))
    offer: Any = said.get("offer")
    limited = False
    if is_number(offer) and optional(who, "limit") is not None:
        limit = number_of(who, "limit", "bidAgent: inputs.who")
        held = max(offer, limit) if who.get("side") == "least" else min(offer, limit)
        offer, limited = held, held != offer
    accept = said.get("accept")
    return {
        "who": who["name"],
        "offer": offer,
        "accept": [name for name in accept if isinstance(name, str)] if is_list(accept) else [],
        "why": str(said.get("why", "")),
        "limited": limited,
    }


def _object_in(answer: Value) -> dict[str, Value]:
    source = answer if isinstance(answer, str) else ""
    block = code_block(source)
    source = source if block is UNDEFINED else str(block)
    start, end = source.find("{"), source.rfind("}")
    try:
        said: Value = parse(source[start : end + 1]) if start >= 0 else None
    except (ValueError, RecursionError):
        said = None
    if not is_dict(said):
        raise AgentError(
            f"bidAgent: inputs.text: there is no JSON object in {source[:60]!r}",
            hint="ask for JSON {offer, accept, why}, and set `retry` on the node that asks",
        )
    return said


@dataclass(frozen=True, kw_only=True)
class NegotiationParams:
    """By which rule, and how long."""

    rule: Annotated[
        Literal["majority", "monotonicConcession", "contractNet"],
        Field(description="when there is a deal"),
    ] = "majority"
    majority: Annotated[int, Field(ge=1, description="parties that have to agree")] = 2
    rounds: Annotated[int, Field(ge=1, description="the negotiation ends after this many")] = 6
    tolerance: Annotated[
        float, Field(ge=0, description="how far offers that agree may be apart, for monotonicConcession")
    ] = 0


@agent(
    "negotiationAgent",
    pure=True,
    description="Decides a round of a negotiation: a deal, a deadlock, or another round",
    category="agreement",
    inputs=fields(
        "turns",
        turns=array("results of bidAgent; who is silent is not in it", mapping()),
        transcript=array("the `transcript` of the round before", mapping()),
        round=number("from 0 (0)"),
    ),
    output=fields(
        transcript=array("of all rounds: {round, turns, offers, retreated}", mapping()),
        open=flag("whether there is another round"),
        agreed=flag(),
        offer=anything("the deal, or what is closest to one"),
        by=array("who is behind it", text()),
        why=text(),
    ),
    samples=[
        Sample(
            inputs={
                "turns": [
                    {"who": "north", "offer": 90, "accept": []},
                    {"who": "south", "offer": 70, "accept": ["north"]},
                ]
            },
            result={
                "transcript": [
                    {
                        "round": 0,
                        "turns": [
                            {"who": "north", "offer": 90, "accept": []},
                            {"who": "south", "offer": 70, "accept": ["north"]},
                        ],
                        "offers": {"north": 90, "south": 70},
                        "retreated": [],
                    }
                ],
                "open": False,
                "agreed": True,
                "offer": 90,
                "by": ["north", "south"],
                "why": "2 of 2 agree",
            },
        )
    ],
)
def negotiate(inputs: dict[str, Value], params: NegotiationParams) -> Value:
    """The verdict of a round. It ends in a deal, a deadlock, or after `rounds`, whatever the parties say."""
    place = "negotiationAgent: inputs"
    round_, transcript = count_of(inputs, "round", place, 0), optional(inputs, "transcript", [])
    if not is_list(transcript):
        raise FinalError(f"{place}.transcript: expected the list that the round before returned")
    bids = _bids(inputs, place, numbers=params.rule != "majority")
    before = _offers_before(transcript)
    offers: Mapping[str, Any] = {bid.who: bid.offer for bid in bids}
    retreated: list[str] = []
    if params.rule == "monotonicConcession":
        offers, retreated = negotiation.conceded(bids, before)
    verdict = _verdict(bids, before, params)
    last = round_ + 1 >= params.rounds
    why = verdict.why if verdict.agreed or verdict.over or not last else f"{verdict.why}; no rounds are left"
    record = {"round": round_, "turns": inputs["turns"], "offers": offers, "retreated": retreated}
    return {
        "transcript": [*transcript, record],
        "open": not (verdict.agreed or verdict.over or last),
        "agreed": verdict.agreed,
        "offer": verdict.offer,
        "by": list(verdict.by),
        "why": why,
    }


def _verdict(bids: Sequence[Bid], before: Mapping[str, float], params: NegotiationParams) -> Verdict:
    if params.rule == "majority":
        return negotiation.majority(bids, params.majority)
    if params.rule == "contractNet":
        return negotiation.contract_net(bids)
    return negotiation.concession(bids, before, params.majority, params.tolerance)


def _bids(inputs: Mapping[str, Value], place: str, numbers: bool) -> list[Bid]:
    turns = inputs.get("turns")
    if not is_list(turns):
        raise FinalError(f"{place}.turns: expected the results of bidAgent")
    bids: list[Bid] = []
    for index, turn in enumerate(turns):
        if not is_dict(turn) or not isinstance(turn.get("who"), str):
            raise FinalError(f"{place}.turns[{index}]: expected {{who, offer}}")
        offer: Any = turn.get("offer")
        if numbers and not (is_number(offer) and math.isfinite(offer)):
            continue  # an offer that is not a number is none, as is silence
        accept = turn.get("accept")
        bids.append(Bid(who=turn["who"], offer=offer, accepts=tuple(accept) if is_list(accept) else ()))
    return bids


def _offers_before(transcript: Sequence[Value]) -> dict[str, float]:
    last: Value = transcript[-1] if transcript else None
    offers = last.get("offers") if is_dict(last) else None
    return {who: offer for who, offer in offers.items() if is_number(offer)} if is_dict(offers) else {}
