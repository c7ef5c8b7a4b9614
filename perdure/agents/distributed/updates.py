"""The updates of sites: read one at a time, and refused if they are broken or not signed.

An average opens one, adds it, and drops it, so that all are never in memory. One that is refused changes how
much the others weigh, and makes the average begin again. That is rare, and to look at all of them first would
read each twice.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

from perdure.agents.distributed.maths import compress, signatures
from perdure.agents.distributed.maths.tensors import Tensors, add, all_finite, require_alike, subtract
from perdure.agents.distributed.values import count_of, number_of, tensors_of
from perdure.errors import FinalError
from perdure.graph.values import Value


class UpdateRefused(Exception):
    """An update that does not count."""


@dataclass(frozen=True, kw_only=True)
class Update:
    """What a site sent, not yet opened: `kind` is the member of `row` that holds it, `age` counts rounds."""

    row: Mapping[str, Value]
    place: str
    kind: str
    site: Any
    samples: float
    round_: int
    age: int
    loss: float | None


def read_update(row: Mapping[str, Value], place: str, round_: int, rule: str) -> Update:
    """What a row says of its update. Raises FinalError for one that cannot be an update of this round."""
    age = round_ - count_of(row, "round", place, round_)
    if age < 0:
        raise FinalError(f"{place}.round: is later than the round that averages, {round_}")
    kind = next((name for name in ("weights", "sent") if name in row), "delta")
    if kind == "weights" and age and rule == "buffer":
        raise FinalError(
            f"{place}.weights: the update is late, and does not say what it changed",
            hint="set send: delta on fedTrainAgent",
        )
    loss = row.get("loss")
    return Update(
        row=row,
        place=place,
        kind=kind,
        site=row.get("site"),
        samples=number_of(row, "n", place, 1),
        round_=count_of(row, "round", place, 0),
        age=age,
        loss=loss if isinstance(loss, int | float) else None,
    )


@dataclass(frozen=True, kw_only=True)
class UpdateReader:
    """Opens updates of the model `weights`, compressed as `compress` says, of sites with `keys` where set."""

    weights: Tensors
    compress: Literal["none", "topk", "int8"]
    keys: Mapping[str, str] | None
    run: str

    def model(self, update: Update) -> Tensors:
        """The weights of the site. Raises UpdateRefused, and FinalError for those of another model."""
        sent = self._sent(update)
        model = sent if update.kind == "weights" else add(self.weights, self._delta(update, sent))
        self._require(update, sent, model)
        return model

    def delta(self, update: Update) -> Tensors:
        """What the site has changed. Raises as `model` does."""
        sent = self._sent(update)
        delta = subtract(sent, self.weights) if update.kind == "weights" else self._delta(update, sent)
        self._require(update, sent, sent if update.kind == "weights" else add(self.weights, delta))
        return delta

    def refusal(self, update: Update) -> str:
        """Why the update does not count; nothing if it does."""
        try:
            self.model(update)
        except UpdateRefused as refusal:
            return str(refusal)
        return ""

    def _sent(self, update: Update) -> Tensors:
        place = f"{update.place}.{update.kind}"
        if update.kind not in update.row:
            place = f"{update.place}: none of weights, delta and sent; delta"
        sent = tensors_of(update.row.get(update.kind), place)
        if update.kind != "sent":
            require_alike(self.weights, sent, place)
        return sent

    def _delta(self, update: Update, sent: Tensors) -> Tensors:
        return compress.restore(sent, self.weights, self.compress) if update.kind == "sent" else sent

    def _require(self, update: Update, sent: Tensors, model: Tensors) -> None:
        if not all_finite(model.values()):
            raise UpdateRefused("it holds NaN or infinity")
        why = "" if self.keys is None else self._forgery(update, sent, self.keys)
        if why:
            raise UpdateRefused(why)

    def _forgery(self, update: Update, sent: Tensors, keys: Mapping[str, str]) -> str:
        site = str(update.site)
        if site not in keys:
            return "the site is not known"
        try:
            public = base64.b64decode(keys[site], validate=True)
            signature = base64.b64decode(str(update.row.get("signature", "")), validate=True)
        except (binascii.Error, ValueError):
            return "the signature is not base64"
        message = signatures.statement(
            sent, run=self.run, round_=update.round_, site=site, samples=update.samples
        )
        return "" if signatures.is_signed(public, signature, message) else "the signature does not match"


class Opened(Sequence[Tensors]):
    """Updates as a rule sees them: each is opened when it is asked for, and again the next time."""

    def __init__(self, updates: Sequence[Update], open_: Callable[[Update], Tensors]) -> None:
        self._updates = updates
        self._open = open_

    @overload
    def __getitem__(self, index: int) -> Tensors: ...
    @overload
    def __getitem__(self, index: slice) -> Opened: ...
    def __getitem__(self, index: int | slice) -> Tensors | Opened:
        if isinstance(index, slice):
            return Opened(self._updates[index], self._open)
        return self._open(self._updates[index])

    def __len__(self) -> int:
        return len(self._updates)
