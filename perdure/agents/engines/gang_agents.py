"""Agents whose call is a gang of processes."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from perdure.agents.agent import AgentContext, agent
from perdure.agents.engines.gang_files import GangFiles
from perdure.agents.engines.gangs import Gang
from perdure.agents.engines.meeting import Meeting
from perdure.agents.engines.member import gang_function_of
from perdure.agents.schema import Schema, anything, fields, number, one_of, text
from perdure.errors import FinalError
from perdure.graph.text.json_dump import dump
from perdure.graph.values import Value, is_dict, is_number

MAX_GANG_SIZE_COUNT: Final = 64
"""Processes of one gang."""

_PARAMS: Final[dict[str, Schema]] = {
    "function": text("the name that a module of the worker gave it with @gang_function"),
    "size": number("processes (2)"),
    "checkpointEvery": number("steps between two checkpoints (1)"),
    "restarts": number("how often the gang begins again without a new checkpoint (3)"),
    "gather": number("milliseconds in which all processes must be ready (60000)"),
    "rendezvous": text("HOST:PORT of rank 0, if each call has one rank, its input `rank`"),
}


@agent(
    "gangAgent",
    description="Runs a function in several processes that begin, end and begin again together",
    category="engine",
    inputs=anything("what the function receives, with the params"),
    params=fields("function", **_PARAMS),
    output=anything("what the function returned in rank 0"),
)
async def gang(inputs: Any, params: dict[str, Value], context: AgentContext) -> Any:
    """The processes have RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT in their environment."""
    return await _run(inputs, params, context, backend="")


@agent(
    "torchAgent",
    description="Runs a function in several processes that PyTorch has joined to a process group",
    category="engine",
    inputs=anything("what the function receives, with the params"),
    params=fields("function", **_PARAMS, backend=one_of("gloo", "nccl", "mpi")),
    output=anything("what the function returned in rank 0, with arrays in place of tensors"),
)
async def torch(inputs: Any, params: dict[str, Value], context: AgentContext) -> Any:
    """As gangAgent; torch.distributed is initialised before the function, and ended after it."""
    backend = params.get("backend", "gloo")
    if backend not in ("gloo", "nccl", "mpi"):
        raise FinalError(f"torchAgent: params.backend: {backend!r} is none of gloo, nccl and mpi")
    return await _run(inputs, params, context, backend)


async def _run(inputs: Any, params: Mapping[str, Value], context: AgentContext, backend: str) -> Any:
    function = inspect.unwrap(gang_function_of(params.get("function")))
    module = sys.modules[function.__module__]
    files = GangFiles(Path(context.settings.home) / "gangs" / context.idempotency_key[:32])
    job: dict[str, Any] = {
        "function": params["function"],
        "module": _name_of(module),
        "file": str(Path(module.__file__ or "").resolve()),
        "backend": backend,
        "inputs": inputs,
        "params": {**params},
        "size": _count(context, params, "size", 2, MAX_GANG_SIZE_COUNT),
        "checkpointEvery": _count(context, params, "checkpointEvery", 1, sys.maxsize),
        "gather": _count(context, params, "gather", 60_000, sys.maxsize) / 1000,
    }
    meeting = _meeting(inputs, params, context, files, job)
    if meeting is None:
        job |= {"master": "127.0.0.1", "listen": "127.0.0.1", "here": job["size"]}
    else:
        job |= {"master": meeting.host, "listen": "", "here": 1, "port": meeting.port + 1}
    restarts = _count(context, params, "restarts", 3, 1_000, least=0)
    context.log(f"the logs of all ranks are in {files.folder}")
    result = await Gang(files, job, restarts, context.log, meeting).run()
    files.remove()
    return result


def _meeting(
    inputs: Any, params: Mapping[str, Value], context: AgentContext, files: GangFiles, job: Mapping[str, Any]
) -> Meeting | None:
    """Where the part of this call meets the others, None where all ranks are here. Raises FinalError."""
    address = params.get("rendezvous")
    if address is None:
        return None
    host, _, port = str(address).rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_535:
        raise FinalError(f"{context.agent}: params.rendezvous: expected HOST:PORT, such as gpu-1:29400")
    size = int(job["size"])
    rank: Value = inputs.get("rank") if is_dict(inputs) else None
    if rank is None or not is_number(rank) or rank not in range(size):
        raise FinalError(f"{context.agent}: inputs.rank: expected a whole number from 0 to {size - 1}")
    gang = hashlib.sha256(dump([context.run, {**params}], ordered=True)).hexdigest()
    return Meeting(files, gang, int(rank), size, host, int(port), float(job["gather"]))


def _name_of(module: ModuleType) -> str:
    """By what a process of the gang imports a module that may be the main one of this process."""
    if module.__name__ != "__main__":
        return module.__name__
    return Path(module.__file__ or "").stem if module.__spec__ is None else module.__spec__.name


def _count(
    context: AgentContext, params: Mapping[str, Value], name: str, default: int, most: int, least: int = 1
) -> int:
    value = params.get(name, default)
    if not is_number(value) or value != int(value) or not least <= value <= most:
        raise FinalError(f"{context.agent}: params.{name}: expected a whole number from {least} to {most}")
    return int(value)
