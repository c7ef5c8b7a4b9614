"""Agents of secure aggregation: the center learns the sum of the updates, and no single one.

A round has four maps and a sum: each site makes a key (maskKeyAgent), deals shares of its secrets
(maskDealAgent), trains and sends its update under masks (maskedTrainAgent); the sites that are left reveal
what takes the masks away (maskRevealAgent), and the center adds (maskSumAgent). Sites may drop out after they
have dealt, and the maps have quorums for that. The protocol is in perdure.agents.distributed.maths.masks.

Invariant. A site never reveals both secrets of another one: it answers for one set of survivors in each
round, which it keeps on its disk, and refuses others.

What this does not protect against: a center that gives sites false keys of each other. Sites that must not
trust it for that need keys that the sites have signed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.distributed.mask_rounds import (
    answer_once,
    encoded,
    opened,
    own_keys,
    place_of,
    public_keys,
    sealed,
    share_key,
)
from perdure.agents.distributed.maths import masks, shares
from perdure.agents.distributed.maths.tensors import flat
from perdure.agents.distributed.training import TrainParams, fed_train
from perdure.agents.distributed.values import rows_of
from perdure.agents.schema import anything, array, fields, mapping, number, text
from perdure.errors import FinalError
from perdure.graph.values import Value, is_dict

KEYS = array("results of maskKeyAgent", mapping())
SAMPLE_KEYS: list[Value] = [
    {"site": "a", "key": "DoNgWDtVDs1CxHMAG/hmDFLMExcqArMqlKV8YeIaWmM="},
    {"site": "b", "key": "awNEGsZp//nSb3qbynSKIVwz/m4IXgvPvzjCHBgjYR8="},
]
_SITE = anything("the name or number of the site")
ROUND = number("from 0 (0)")


@dataclass(frozen=True, kw_only=True)
class ThresholdParams:
    """How many sites must be left."""

    survivors: Annotated[
        float,
        Field(gt=0.5, le=1, description="the share of the sites that must be left"),
    ] = 2 / 3


@dataclass(frozen=True, kw_only=True)
class MaskedTrainParams(TrainParams):
    """How a site trains, and what counts as one in fixed point."""

    unit: Annotated[float, Field(gt=0, description="samples that count as 1, as for maskSumAgent")] = 1


@agent(
    "maskKeyAgent",
    description="The public key of a site for one round of secure aggregation",
    category="learning",
    inputs=fields("site", site=_SITE, round=ROUND),
    output=fields(site=anything(), key=text("X25519, base64")),
    samples=[
        Sample(
            inputs={"site": "a"},
            result={"site": "a", "key": "DoNgWDtVDs1CxHMAG/hmDFLMExcqArMqlKV8YeIaWmM="},
        )
    ],
)
def mask_key(inputs: dict[str, Value], context: AgentContext) -> Value:
    """The same for the same site, run and round."""
    site, about = place_of(inputs, "maskKeyAgent", context)
    return {"site": site, "key": encoded(own_keys(site, about).public)}


@agent(
    "maskDealAgent",
    description="Deals shares of a site's secrets to all sites, each readable by one of them",
    category="learning",
    inputs=fields("site", "keys", site=_SITE, round=ROUND, keys=KEYS),
    output=fields(site=anything(), sealed=mapping("by site: two shares, AES-GCM, base64")),
    samples=[
        Sample(
            inputs={"site": "a", "keys": SAMPLE_KEYS},
            result={
                "site": "a",
                "sealed": {
                    "a": (
                        "1M9+oudbXTbCaLbrpqIXDBcv532NMMkbWBwXIHQd/fWQMx+aSJCti+r9JHnI"
                        "XcJ3AWmd0aEDOhi9Y9Awi4mT8bXBgCLJ0dyNliGtNpNZanMXDzU9T5A37NxZ"
                        "uVX4dPrW+JxlHbK0YLxsIv9SH0QFkZsbFhP2NlKCKkGNItONvRHB0pDWJo6Y"
                        "EZU80UlQKYvIZcGbbQ=="
                    ),
                    "b": (
                        "ZY/4iUjDoH3idALLKOuE3adjn7ZxgYVcyXzf+Y4pHdoKnsj3VL0Ag6MI02Bp"
                        "qRRLZQUaLUZO3WhUM1vqBQyWp+xpPQrzNTAevngQFGpSEq7P4iVLi6m5QdN6"
                        "yhCexIyU215LvRoa/toaT4OwE//yHa5TkyQFyXPgSiaC/AvmMaAMyIv507JQ"
                        "Jr9AiJABAxmvxXK1dw=="
                    ),
                },
            },
        )
    ],
)
def mask_deal(inputs: dict[str, Value], params: ThresholdParams, context: AgentContext) -> Value:
    """Raises FinalError for fewer than two sites, or keys without that of this one."""
    site, about = place_of(inputs, "maskDealAgent", context)
    own, publics = own_keys(site, about), public_keys(inputs, "maskDealAgent", str(site))
    needed = masks.threshold_of(publics, params.survivors)
    dealt = [
        shares.dealt(
            secret,
            needed,
            len(publics),
            lambda index, name=name: masks.derived(own.seed, f"{about} {name} {index}", shares.SHARE_SIZE),
        )
        for name, secret in (("seed", own.seed), ("private", own.private))
    ]
    return {
        "site": site,
        "sealed": {
            other: sealed(
                share_key(own, publics[other], about, str(site), other), dealt[0][at] + dealt[1][at]
            )
            for at, other in enumerate(sorted(publics), 1)
        },
    }


@agent(
    "maskedTrainAgent",
    description="Trains a model on the data of one site, and sends the update under masks",
    category="learning",
    inputs=fields(
        "weights", "site", "keys", weights=mapping("named arrays"), site=_SITE, round=ROUND, keys=KEYS
    ),
    output=fields(site=anything(), round=number(), masked=array("unsigned numbers that look random")),
    samples=[
        Sample(
            inputs={"site": "a", "keys": SAMPLE_KEYS, "weights": {"b": [0, 0], "w": [[0, 0]]}},
            params={"data": "coins", "lr": 0.5, "batch": 2, "unit": 100},
            result={
                "site": "a",
                "round": 0,
                "masked": [3465061279, 3964655539, 1178433131, 913466084, 3341238843],
            },
        )
    ],
)
def masked_train(inputs: dict[str, Value], params: MaskedTrainParams, context: AgentContext) -> Value:
    """The update and the number of samples, in fixed point, with masks that cancel in the sum of all sites.

    Raises FinalError as fedTrainAgent, and for numbers that the sum may not hold.
    """
    site, about = place_of(inputs, "maskedTrainAgent", context)
    publics = public_keys(inputs, "maskedTrainAgent", str(site))
    plain: Any = fed_train(inputs, replace(params, send="delta", compress="none", sign=False), context)
    weight = plain["n"] / params.unit
    vector = np.append(flat(plain["delta"]).astype(np.float64) * weight, weight)
    masked = masks.masked(str(site), vector, own_keys(site, about), publics, about)
    return {"site": site, "round": plain["round"], "masked": masked}


@agent(
    "maskRevealAgent",
    description="Reveals a site's shares: seeds of the sites that are left, private keys of the others",
    category="learning",
    inputs=fields(
        "site",
        "keys",
        "dealt",
        "left",
        site=_SITE,
        round=ROUND,
        keys=KEYS,
        dealt=array("results of maskDealAgent", mapping()),
        left=array("results of maskedTrainAgent, or {site} of each site that is left", mapping()),
    ),
    output=fields(site=anything(), seeds=mapping("by site"), privates=mapping("by site")),
    samples=[
        Sample(
            inputs={
                "site": "a",
                "keys": SAMPLE_KEYS,
                "dealt": [
                    {
                        "site": "b",
                        "sealed": {
                            "a": (
                                "rGt/QtHJK9vUb5bO0N79hy/XE6Dpc/EDaAo/PqcNhetb9ubXl5o5GyZesxJE"
                                "navJARcNnUO+zGvSY58Lp43sgVQGxbUS/PsLe2a7dW3IRR6Ffl7wxFBok84X"
                                "DYgUl4TDsxSs6tqulhK9uQ24kmtKimNyoMGA3GGCh9jQckrP9vMgCxCsgara"
                                "freB4QLggT34SoIQrA=="
                            )
                        },
                    }
                ],
                "left": [{"site": "a"}, {"site": "b"}],
            },
            result={
                "site": "a",
                "seeds": {
                    "b": (
                        "ASROV52pmbeOuj1gWT3KDEv5IkZPcSqcqZjIhKNTsDc1AvAYqTzJEKDmNadA"
                        "TQp8zOuXIqEpNb1qeDF1RRNZRRKy"
                    )
                },
                "privates": {},
            },
        )
    ],
)
def mask_reveal(inputs: dict[str, Value], params: ThresholdParams, context: AgentContext) -> Value:
    """Raises FinalError if too few are left, or if this site has answered for other ones in this round."""
    place = "maskRevealAgent"
    site, about = place_of(inputs, place, context)
    own, publics = own_keys(site, about), public_keys(inputs, place, str(site))
    left = sorted(str(row.get("site")) for row in rows_of(inputs, "left", f"{place}: inputs"))
    needed = masks.threshold_of(publics, params.survivors)
    if len(left) < needed or not set(left) <= set(publics):
        raise FinalError(f"{place}: {len(left)} sites are left, and {needed} of {len(publics)} are needed")
    answer_once(site, about, left, context)
    revealed: dict[str, dict[str, Value]] = {"seeds": {}, "privates": {}}
    for row in rows_of(inputs, "dealt", f"{place}: inputs"):
        dealer, own_shares = str(row.get("site")), row.get("sealed")
        if dealer not in publics or not is_dict(own_shares) or str(site) not in own_shares:
            raise FinalError(f"{place}: inputs.dealt: there are no shares of {dealer!r} for {site!r}")
        both = opened(share_key(own, publics[dealer], about, dealer, str(site)), own_shares[str(site)])
        half = both[: shares.SHARE_SIZE] if dealer in left else both[shares.SHARE_SIZE :]
        revealed["seeds" if dealer in left else "privates"][dealer] = encoded(half)
    return {"site": site, **revealed}
