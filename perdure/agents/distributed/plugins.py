"""What a worker's own module registers for agents: models, data sets, databases and queries.

A graph names them, and cannot bring any. So it trains, reads and asks only what its worker offers:

    from perdure.agents.distributed.plugins import dataset, query, register_model

    @dataset("digits")
    def digits(site, context):
        ...
        return x, y

    query("stock_of_item", "select stock from items where store = :store and item = :item")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from perdure.agents.agent import AgentContext
from perdure.agents.distributed.maths.sgd import Model, Perceptron, Softmax
from perdure.agents.distributed.maths.tensors import Array
from perdure.errors import FinalError
from perdure.graph.wording import suggestion

Dataset: TypeAlias = Callable[[int | str, AgentContext], tuple[Array, Array]]
"""Samples of a site: `x` (samples, features) and `y`, class numbers (samples)."""

Database: TypeAlias = Callable[[AgentContext], Path]

_Anything = TypeVar("_Anything")

_MODELS: Final[dict[str, Model]] = {"softmax": Softmax(), "perceptron": Perceptron()}
_DATASETS: Final[dict[str, Dataset]] = {}
_QUERIES: Final[dict[str, str]] = {}
_DATABASES: Final[dict[str, Database]] = {}
_SECRETS: Final[dict[str, Callable[[int | str], bytes]]] = {}


def register_model(name: str, model: Model) -> None:
    """Offers `model` under a name, in place of one that had it."""
    _MODELS[name] = model


def dataset(name: str) -> Callable[[Dataset], Dataset]:
    """Declares the decorated function to give the samples of a site. It runs where the data is."""

    def declare(function: Dataset) -> Dataset:
        _DATASETS[name] = function
        return function

    return declare


def query(name: str, sql: str) -> None:
    """Offers a query with named parameters, such as ``:store``, which are bound and never pasted."""
    _QUERIES[name] = sql


def database(name: str) -> Callable[[Database], Database]:
    """Declares the decorated function to give the path of an SQLite database, which is only read."""

    def declare(function: Database) -> Database:
        _DATABASES[name] = function
        return function

    return declare


def site_secret(function: Callable[[int | str], bytes]) -> Callable[[int | str], bytes]:
    """Declares the function that gives the secret of a site: 32 bytes or more that only its worker reads."""
    _SECRETS["site"] = function
    return function


def model_of(name: str) -> Model:
    """The model of this name. Raises FinalError."""
    return _registered(_MODELS, name, "model", "register_model")


def dataset_of(name: str) -> Dataset:
    """The data set of this name. Raises FinalError."""
    return _registered(_DATASETS, name, "data set", "@dataset")


def query_of(name: str) -> str:
    """The query of this name. Raises FinalError."""
    return _registered(_QUERIES, name, "query", "query(...)")


def database_of(name: str) -> Database:
    """The function that gives the path of a database. Raises FinalError."""
    return _registered(_DATABASES, name, "database", "@database")


def secret_of(site: int | str) -> bytes:
    """The secret of a site. Raises FinalError if the worker has none."""
    return _registered(_SECRETS, "site", "secret of a", "@site_secret")(site)


def _registered(registered: Mapping[str, _Anything], name: Any, kind: str, way: str) -> _Anything:
    if name in registered:
        return registered[name]
    hints = suggestion(str(name), registered), f"a module passed with --agents registers one with {way}"
    raise FinalError(f"this worker has no {kind} {name!r}", hint="; ".join(filter(None, hints)))
