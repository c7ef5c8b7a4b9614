"""The agents of Perdure's side of the comparison: the shipped ones, on the data that all sides share."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from bench.peers.federated.fedapp import workload
from perdure.agents.agent import AgentContext, agent
from perdure.agents.distributed.agents import fed_average, fed_init, fed_train
from perdure.agents.distributed.plugins import dataset

__all__ = ["change_array", "fed_average", "fed_init", "fed_train", "keep_array", "make_array"]


@dataset("digits-of-2")
def of_two(site: int | str, context: AgentContext) -> Any:
    return workload.dealt(2)[int(site)]


@dataset("digits-of-10")
def of_ten(site: int | str, context: AgentContext) -> Any:
    return workload.dealt(10)[int(site)]


@dataset("slow-digits-of-2")
def slowly_of_two(site: int | str, context: AgentContext) -> Any:
    time.sleep(1)
    return workload.dealt(2)[int(site)]


@dataset("slow-digits-of-10")
def slowly_of_ten(site: int | str, context: AgentContext) -> Any:
    time.sleep(1)
    return workload.dealt(10)[int(site)]


@agent("makeArray")
def make_array(params: dict[str, Any]) -> Any:
    """`bytes` that do not compress."""
    return {"array": np.random.default_rng(params["seed"]).bytes(params["bytes"])}


@agent("keepArray")
def keep_array(inputs: dict[str, Any]) -> Any:
    """Its own inputs, once it has read them."""
    return {"array": inputs["array"]}


@agent("changeArray")
def change_array(inputs: dict[str, Any]) -> Any:
    """Another one of the same length."""
    return {"array": (np.frombuffer(inputs["array"], np.uint8) + 1).tobytes()}
