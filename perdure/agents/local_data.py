"""Data that stays on its host: what agents open by name, and what calls that have opened some may give back.

Why. A graph may come from someone who must not see the data that it works on. The operator of a worker says
which data there is (`perdure worker --data NAME=PATH`) and what may leave (PERDURE_DATA_EGRESS), and the code
of the agents is the operator's, too. The rule is for code that gives back more than it was meant to: rows in
a result, or a row in the message of an exception.

Invariant. Once a call has opened data, its result is checked before a filter, the store or the run has it.
Messages of its failures, what it streams and what it logs stay here. Refusals count what is too much, and
quote nothing.

Rejected: to look for the rows themselves in a result. A row can be written in many forms, so that would only
find what was not disguised, and would read all of the data after each call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from perdure.agents.code_place import code_place
from perdure.errors import AgentError, FinalError, TransientError
from perdure.graph.binary import Array
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list
from perdure.net import confined_files
from perdure.settings.data_egress import DataEgress

MAX_LOCAL_FILE_BYTES: Final = 2_000_000_000
"""Bytes of a file in a folder of local data."""

MAX_METRIC_CHARS: Final = 100
"""Characters of a string, or of a name in an object, that counts as a metric: sites, digests, signatures."""


@dataclass(frozen=True, slots=True)
class LocalData:
    """A file or a folder of this worker, which a graph knows by `name` only."""

    name: str
    path: Path

    def read(self, file: str = "") -> bytes:
        """The content of a file in the folder, or of the file that this is.

        `file` may come from a graph: neither dots nor links lead it out of the folder. Raises AgentError
        (``ENOENT: …``) if there is none, FinalError for what may not be read.
        """
        root, name = (self.path, file) if file else (self.path.parent, self.path.name)
        path, parts = confined_files.locate(root, "", name)
        return confined_files.read(root, path, parts, MAX_LOCAL_FILE_BYTES)


@dataclass(slots=True)
class LocalDataAccess:
    """The local data of one call: what is `known` by name (None for pure agents), and what it has `opened`.

    `refusal` is the last error for a name that is not known.
    """

    known: Mapping[str, Path] | None = field(default_factory=dict[str, Path])
    opened: list[str] = field(default_factory=list[str])
    absent: str = ""
    refusal: FinalError | None = None
    row_count: int = 0
    row_shapes: set[tuple[int, ...]] = field(default_factory=set[tuple[int, ...]])

    def __call__(self, name: str) -> LocalData:
        """The data of this name. From here on, the call gives back only what its worker allows.

        Raises FinalError if this worker has none of this name.
        """
        if self.known is None:
            raise FinalError("a pure agent opens no local data", hint="declare the agent without pure=True")
        if name not in self.known:
            self.absent, self.refusal = name, absent(name)
            raise self.refusal
        self.opened.append(name)
        return LocalData(name, self.known[name])

    def took(self, rows: Any) -> None:
        """Says how many rows are behind the result: their number, or an array of them.

        An array of the same shape as one with several columns counts as rows and does not leave.
        """
        shape: tuple[int, ...] = tuple(getattr(rows, "shape", ()))
        self.row_count += shape[0] if shape else int(rows)
        if len(shape) > 1:
            self.row_shapes.add(shape)


def absent(name: str, hosts: Sequence[str] = ()) -> FinalError:
    """The error of a worker without the data `name`; `hosts` are those that have it, if known."""
    start = f"start this worker with --data {name}=PATH"
    if not hosts:
        return FinalError(f"this worker has no data {name!r}", hint=start)
    finding = f"this worker has no data {name!r}; hosts that have it: {', '.join(hosts)}"
    return FinalError(finding, hint=f"give the node `queue: '@{hosts[0]}'`, or {start}")


def keeps_messages(access: LocalDataAccess, rule: DataEgress) -> bool:
    """Whether what the call says has to stay here."""
    return bool(access.opened) and "text" not in rule.kinds


def released(agent: str, value: Value, access: LocalDataAccess, rule: DataEgress) -> Value:
    """The result of a call, which may leave. Raises FinalError, with counts, if the rule keeps it."""
    if not access.opened:
        return value
    excess = list(_excess(_census(value, access.row_shapes), access.row_count, rule))
    if excess:
        raise FinalError(
            f"{agent}: the result stays on this worker, because the call opened {_names(access)}: "
            f"{'; '.join(excess)}",
            hint="let the agent aggregate; PERDURE_DATA_EGRESS of the worker says what may leave",
        )
    return value


def without_message(error: BaseException, access: LocalDataAccess) -> AgentError:
    """A failure of the same kind, with the place in the code of the agent and without what the error says."""
    place = code_place(error)
    at = f" at {place}" if place else ""
    kept = f"its message stays on this worker, because the call opened {_names(access)}"
    finding = f"{type(error).__name__}{at}; {kept}"
    hint = "if others may see it, start the worker with PERDURE_DATA_EGRESS='metrics tensors text'"
    if isinstance(error, TransientError):
        return TransientError(finding, error.retry_after, hint=hint)
    return (FinalError if isinstance(error, FinalError) else AgentError)(finding, hint=hint)


def _names(access: LocalDataAccess) -> str:
    return ", ".join(map(repr, sorted(set(access.opened))))


@dataclass(slots=True)
class _Census:
    """What a value consists of."""

    values: int = 0
    bytes: int = 0
    strings: int = 0
    objects: int = 0  # lists and strings too, if they are in a list: rows
    arrays: int = 0
    row_arrays: int = 0
    others: int = 0


def _census(value: Value, row_shapes: set[tuple[int, ...]]) -> _Census:
    census, pending = _Census(), [value]
    while pending:
        part = pending.pop()
        if is_dict(part):
            for name in part:
                _count_string(census, name)
            pending += part.values()
        elif is_list(part):
            census.objects += sum(is_dict(item) or is_list(item) or isinstance(item, str) for item in part)
            pending += part
        else:
            _count(census, part, row_shapes)
    return census


def _count(census: _Census, part: Value, row_shapes: set[tuple[int, ...]]) -> None:
    if isinstance(part, Array):
        census.arrays += 1
        census.bytes += part.nbytes
        census.row_arrays += part.shape in row_shapes
    elif isinstance(part, str):
        census.values += 1
        _count_string(census, part)
    elif part is None or part is UNDEFINED or isinstance(part, bool | int | float):
        census.values += 1
        census.bytes += 8
    else:
        census.others += 1


def _count_string(census: _Census, string: str) -> None:
    census.bytes += len(string)
    census.strings += len(string) > MAX_METRIC_CHARS


def _excess(census: _Census, row_count: int, rule: DataEgress) -> Iterator[str]:
    kinds = rule.kinds
    if census.bytes > rule.bytes:
        yield f"{census.bytes:,} bytes, more than {rule.bytes:,}"
    if census.arrays and "tensors" not in kinds:
        yield f"arrays: {census.arrays}"
    if census.row_arrays and "rows" not in kinds:
        yield f"arrays of the shape of the rows: {census.row_arrays}"
    if census.strings and "text" not in kinds:
        yield f"strings of more than {MAX_METRIC_CHARS} characters: {census.strings}"
    if census.objects and "rows" not in kinds:
        yield f"objects, lists and strings in lists: {census.objects}"
    if census.values and not {"metrics", "rows"} & {*kinds}:
        yield f"numbers and strings: {census.values}"
    elif census.values > rule.values and "rows" not in kinds:
        yield f"{census.values} numbers and strings, more than {rule.values}"
    if census.others and "rows" not in kinds:
        yield f"byte strings and other values: {census.others}"
    if row_count < rule.rows and rule.rows > 1:
        yield f"fewer than {rule.rows} rows behind it, or the agent does not say how many (context.data.took)"
