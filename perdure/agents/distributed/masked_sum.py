"""The agent of the center in secure aggregation: it learns the sum of the updates (see masking.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.distributed.mask_rounds import joined, masked_of, public_keys
from perdure.agents.distributed.masking import KEYS, ROUND, SAMPLE_KEYS, ThresholdParams
from perdure.agents.distributed.maths import masks
from perdure.agents.distributed.maths.tensors import add, digest, shaped
from perdure.agents.distributed.values import count_of, rows_of, tensors_of
from perdure.agents.schema import array, fields, mapping, number, text
from perdure.graph.values import Value


@dataclass(frozen=True, kw_only=True)
class SumParams(ThresholdParams):
    """What counts as one in fixed point."""

    unit: Annotated[float, Field(gt=0, description="samples that count as 1, as for maskedTrainAgent")] = 1


@agent(
    "maskSumAgent",
    description="Adds masked updates, takes the masks away, and makes the next weights",
    category="learning",
    inputs=fields(
        "updates",
        "revealed",
        "keys",
        "weights",
        updates=array("results of maskedTrainAgent", mapping()),
        revealed=array("results of maskRevealAgent", mapping()),
        keys=KEYS,
        weights=mapping("named arrays"),
        round=ROUND,
    ),
    output=fields(
        weights=mapping("named arrays"),
        n=number("samples behind the result"),
        accepted=array("sites whose updates count"),
        missing=array("sites that dropped out"),
        digest=text("SHA-256 of the weights"),
    ),
    samples=[
        Sample(
            inputs={
                "updates": [
                    {
                        "site": "a",
                        "round": 0,
                        "masked": [3465061279, 3964655539, 1178433131, 913466084, 3341238843],
                    },
                    {
                        "site": "b",
                        "round": 0,
                        "masked": [1637388787, 4039164523, 921901523, 4183469311, 108382342],
                    },
                ],
                "revealed": [
                    {
                        "site": "a",
                        "seeds": {
                            "a": (
                                "Af5dc650p0PC2LKV+7ybMXvCjj9yFNZHUlweKotMP6ONeFVvKQeoL/TlLwI1"
                                "XpI2FmmOsWb8DERzvs4zHxUbxcrf"
                            ),
                            "b": (
                                "ASROV52pmbeOuj1gWT3KDEv5IkZPcSqcqZjIhKNTsDc1AvAYqTzJEKDmNadA"
                                "TQp8zOuXIqEpNb1qeDF1RRNZRRKy"
                            ),
                        },
                        "privates": {},
                    },
                    {
                        "site": "b",
                        "seeds": {
                            "a": (
                                "Afy651zpToeFsWUr93k2YveFHH7kKayOpLg8VRaYf0ca8ILQHulpWnGaatHB"
                                "jPUJkxSl0rajik2l1gFIX0x/2EC5"
                            ),
                            "b": (
                                "AEicrztTM28ddHrAsnuUGJfyRIye4lU5UzGRCUanYG5qBXr9udmO0rUQJYMr"
                                "edavaxIVyKDjlrZJMOzXkHLVIGsT"
                            ),
                        },
                        "privates": {},
                    },
                ],
                "keys": SAMPLE_KEYS,
                "weights": {"b": [0, 0], "w": [[0, 0]]},
            },
            params={"unit": 100},
            result={
                "weights": {"b": [0.0, 0.0], "w": [[-0.2501906941266209, 0.2501906941266209]]},
                "n": 4,
                "accepted": ["a", "b"],
                "missing": [],
                "digest": ("9d847e97c539dff702029809bfd5540a7b4f832a50156fab5bbb207ad07dc3c2"),
            },
        )
    ],
)
def mask_sum(inputs: dict[str, Value], params: SumParams, context: AgentContext) -> Value:
    """The mean of the updates, each by its number of samples. Raises FinalError if too few have revealed."""
    place = "maskSumAgent: inputs"
    about = f"{context.run} round {count_of(inputs, 'round', place, 0)}"
    publics, weights = (
        public_keys(inputs, "maskSumAgent"),
        tensors_of(inputs.get("weights"), f"{place}.weights"),
    )
    rows, revealed = rows_of(inputs, "updates", place), rows_of(inputs, "revealed", place)
    updates = {str(row.get("site")): masked_of(row, f"{place}.updates") for row in rows}
    needed, order = masks.threshold_of(publics, params.survivors), sorted(publics)
    seeds = {site: joined(revealed, "seeds", site, order, needed) for site in updates}
    privates = {
        site: joined(revealed, "privates", site, order, needed) for site in order if site not in updates
    }
    total = masks.unmasked(updates, seeds, privates, publics, about)
    stepped = add(weights, shaped(total[:-1] / total[-1], weights))
    return {
        "weights": stepped,
        "n": round(float(total[-1]) * params.unit),
        "accepted": [row.get("site") for row in rows],
        "missing": [site for site in order if site not in updates],
        "digest": digest(stepped),
    }
