"""All agents of the extras: ``perdure worker --agents distributed``, or imported by a module of your own."""

from __future__ import annotations

from perdure.agents.distributed.accounting import dp_accountant
from perdure.agents.distributed.agreement import consensus_step, gossip, spread
from perdure.agents.distributed.ants import ant_tour, ant_trail
from perdure.agents.distributed.averaging import fed_average
from perdure.agents.distributed.business import confidence, sql, stock_rule
from perdure.agents.distributed.delivering import assign, route, swap
from perdure.agents.distributed.gradients import gradient, sgd_step
from perdure.agents.distributed.masked_sum import mask_sum
from perdure.agents.distributed.masking import mask_deal, mask_key, mask_reveal, masked_train
from perdure.agents.distributed.members import members
from perdure.agents.distributed.negotiating import bid, negotiate
from perdure.agents.distributed.particles import pso_best, pso_birth, pso_move
from perdure.agents.distributed.pipeline.examples import examples, schema, statistics, validate
from perdure.agents.distributed.pipeline.models import judge, train, transform
from perdure.agents.distributed.pipeline.publishing import current_model, push
from perdure.agents.distributed.problems import critic, merge, split
from perdure.agents.distributed.reducing import ring_step
from perdure.agents.distributed.training import fed_evaluate, fed_init, fed_summary, fed_train

__all__ = [
    "ant_tour",
    "ant_trail",
    "assign",
    "bid",
    "confidence",
    "consensus_step",
    "critic",
    "current_model",
    "dp_accountant",
    "examples",
    "fed_average",
    "fed_evaluate",
    "fed_init",
    "fed_summary",
    "fed_train",
    "gossip",
    "gradient",
    "judge",
    "mask_deal",
    "mask_key",
    "mask_reveal",
    "mask_sum",
    "masked_train",
    "members",
    "merge",
    "negotiate",
    "pso_best",
    "pso_birth",
    "pso_move",
    "push",
    "ring_step",
    "route",
    "schema",
    "sgd_step",
    "split",
    "spread",
    "sql",
    "statistics",
    "stock_rule",
    "swap",
    "train",
    "transform",
    "validate",
]
