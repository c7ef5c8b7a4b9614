"""The agent that counts what private rounds have cost, and refuses the one that would cost too much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from perdure.agents.agent import Sample, agent
from perdure.agents.distributed.maths import privacy
from perdure.agents.distributed.values import count_of
from perdure.agents.schema import fields, flag, number
from perdure.errors import FinalError
from perdure.graph.values import Value


@dataclass(frozen=True, kw_only=True)
class BudgetParams:
    """What a round costs, and what all may."""

    limit: Annotated[float, Field(gt=0, description="the ε that all rounds together may cost")]
    noise: Annotated[float, Field(gt=0, description="deviation over `clip`, as for fedAverageAgent")] = 1
    rate: Annotated[float, Field(gt=0, le=1, description="the share of the sites in a round")] = 1
    delta: Annotated[float, Field(gt=0, lt=1, description="the δ that goes with the ε")] = 1e-5
    accountant: Annotated[
        Literal["rdp", "pld"], Field(description="Rényi, or the tighter loss distributions")
    ] = "rdp"


@agent(
    "dpAccountantAgent",
    description="Counts the ε of private rounds, and refuses the round that would pass the limit",
    category="learning",
    inputs=fields(round=number("the one that is about to begin, from 0 (0)")),
    output=fields(
        epsilon=number("after this round"),
        more=flag("whether another round is within the limit"),
    ),
    samples=[
        Sample(
            params={"limit": 30, "noise": 1, "delta": 1e-5},
            result={"epsilon": 4.728507067217623, "more": True},
        )
    ],
)
def dp_accountant(inputs: dict[str, Value], params: BudgetParams) -> Value:
    """Place it in front of the round. Raises FinalError for one that may not begin."""
    round_ = count_of(inputs, "round", "dpAccountantAgent: inputs", 0)
    cost = (params.noise, params.rate)
    spent = privacy.epsilon(*cost, round_ + 1, params.delta, params.accountant)
    if spent > params.limit:
        raise FinalError(
            f"dpAccountantAgent: round {round_} would cost ε {spent:.4f} in all, more than {params.limit:g}",
            hint="stop at the round before, add noise, or sample fewer sites",
        )
    following = privacy.epsilon(*cost, round_ + 2, params.delta, params.accountant)
    return {"epsilon": spent, "more": following <= params.limit}
