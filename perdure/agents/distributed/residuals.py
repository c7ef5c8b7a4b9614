"""What a site has not sent yet (error feedback): kept on its own disk, from one round to the next.

Why. A compressed update leaves something out, which the site adds to its next one. This residual says as much
of the site's data as an update does, so it neither travels with the graph nor is in the history.

Invariant. A round reads the residual of an earlier round and writes its own, under its number. So another
attempt of the same round, after the worker has died at any moment, reads what the first one read, and sends
the same bits.

Rejected: to keep it in the memory of the worker. A restart would lose it, and another attempt would add it
twice.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np

from perdure.agents.agent import AgentContext
from perdure.agents.distributed.maths import compress
from perdure.agents.distributed.maths.tensors import Array, Tensors

_IN_MEMORY: Final = "memory"
_OF_MEMORY: Final[dict[str, tuple[int, Tensors]]] = {}


def compressed(
    delta: Tensors, method: tuple[str, float], about: str, round_: int, context: AgentContext
) -> Tensors:
    """What a site sends in this round of a difference, and of what earlier rounds have left out.

    `method` is the compression and its share, `about` names the site and what it trains.
    """
    sent, left = compress.compress(delta, _residual_of(about, round_, context), *method)
    _keep(about, round_, left, context)
    return {name: sent[name] for name in sorted(sent)}


def _residual_of(about: str, round_: int, context: AgentContext) -> Tensors | None:
    """The residual of the last round before this one, None if there is none."""
    if context.run == _IN_MEMORY:
        kept_round, kept = _OF_MEMORY.get(about, (round_, {}))
        return kept if kept_round < round_ else None
    before = [number for number in _rounds(_folder(about, context)) if number < round_]
    if not before:
        return None
    with np.load(_file(about, max(before), context)) as file:
        return {name[1:]: file[name] for name in file.files}


def _keep(about: str, round_: int, residual: Mapping[str, Array], context: AgentContext) -> None:
    """Writes the residual of this round: whole or not at all. Those that no attempt can need any more go."""
    if context.run == _IN_MEMORY:
        _OF_MEMORY[about] = (round_, dict(residual))
        return
    folder = _folder(about, context)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as draft:
        # The dot keeps names apart from the parameters of savez.
        named: dict[str, Any] = {f".{name}": array for name, array in residual.items()}
        np.savez(draft, **named)
        draft.flush()
        os.fsync(draft.fileno())
    os.replace(draft.name, _file(about, round_, context))
    for number in sorted(_rounds(folder))[:-2]:
        with suppress(FileNotFoundError):
            _file(about, number, context).unlink()


def _folder(about: str, context: AgentContext) -> Path:
    name = sha256(f"{context.run}\0{about}".encode()).hexdigest()[:32]
    return context.settings.home / "residuals" / name


def _file(about: str, round_: int, context: AgentContext) -> Path:
    return _folder(about, context) / f"{round_}.npz"


def _rounds(folder: Path) -> list[int]:
    return [int(file.stem) for file in folder.glob("*.npz") if file.stem.isdecimal()]
