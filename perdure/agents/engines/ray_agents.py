"""Calls of Ray actors, as sessions: the actor is the state, and one that has died is made again.

A graph names a class, and cannot bring any. A module of the worker offers it:

    import ray
    from perdure.agents.engines import ray_actor

    @ray_actor("Worker")
    @ray.remote
    class Worker:
        ...
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Any, Final, TypeVar

from perdure.agents.agent import AgentContext, agent
from perdure.agents.distributed.extras import library
from perdure.agents.invoke import normal
from perdure.agents.schema import anything, fields, mapping, text
from perdure.errors import AgentError, FinalError, SessionLost
from perdure.graph.values import Value, is_dict
from perdure.graph.wording import suggestion

_Class = TypeVar("_Class")

_ACTORS: Final[dict[str, Any]] = {}
_CONNECTING: Final = Lock()
"""Held while the process is connected: calls come in threads of their own."""


def ray_actor(name: str) -> Callable[[_Class], _Class]:
    """Declares the decorated class, with or without ``@ray.remote``, to be one that graphs may call."""

    def declare(actor: _Class) -> _Class:
        _ACTORS[name] = actor
        return actor

    return declare


@agent(
    "rayActorAgent",
    description="Calls a method of a Ray actor; all calls of a session are to the same one",
    category="engine",
    inputs=fields(
        address=text("of the cluster, such as ray://head:10001; a cluster in this process without one"),
        init=mapping("arguments by which the actor is made"),
    ),
    params=fields(
        "class",
        "method",
        **{"class": text("the name that a module of the worker gave it with @ray_actor")},
        method=text("the method, which gets all other inputs as its arguments"),
    ),
    output=anything("what the method returned"),
)
class RayActor:
    """An actor, and how it was made.

    Its state is what its method `checkpoint` returns, for its method `restore`; without these, all of its
    attributes, which must be values then.
    """

    def __init__(self) -> None:
        self._actor: Any = None
        self._made: dict[str, Any] = {}
        self._state: Any = None

    def call(self, inputs: dict[str, Value], params: dict[str, Value], context: AgentContext) -> Any:
        """Calls the method, on an actor that is made first if needed."""
        method = params.get("method")
        if not isinstance(method, str) or method.startswith("_"):
            raise FinalError(
                f"rayActorAgent: params.method: {method!r} is not a method that a graph may call"
            )
        others = {name: value for name, value in inputs.items() if name not in ("address", "init", "params")}
        init = inputs.get("init")
        made: dict[str, Any] = {
            "class": params.get("class"),
            "address": inputs.get("address") or "",
            "init": init if is_dict(init) else {},
        }
        ray = _ray(made["address"])
        if self._actor is None:
            self._make(ray, self._made or made)
        return self._get(ray, self._method(method).remote(**others))

    def checkpoint(self) -> Any:
        """How the actor was made, and its state."""
        ray = _ray(self._made["address"])
        if hasattr(self._actor, "checkpoint"):
            state = self._get(ray, self._actor.checkpoint.remote())
        else:
            state = self._get(ray, self._actor.__ray_call__.remote(_attributes))
        try:
            return {**self._made, "state": normal("rayActorAgent", state)}
        except AgentError as error:
            name = self._made["class"]
            hint = f"give {name} the methods `checkpoint` and `restore`, or say session: {{lossy: true}}"
            raise FinalError(f"the attributes of {name} are not values: {error}", hint=hint) from error

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """The actor is made again with the next call."""
        self._state = checkpoint["state"]
        self._made = {name: checkpoint[name] for name in ("class", "address", "init")}

    def close(self) -> None:
        """Ends the actor."""
        if self._actor is not None:
            library("ray", "ray").kill(self._actor)

    def _make(self, ray: Any, made: Mapping[str, Any]) -> None:
        offered, arguments = _actor_of(made["class"]), {**made["init"]}
        actor = (offered if hasattr(offered, "remote") else ray.remote(offered)).remote(**arguments)
        self._made, self._actor = {**made}, actor
        if self._state is None:
            return
        if hasattr(actor, "restore"):
            self._get(ray, actor.restore.remote(self._state))
        else:
            self._get(ray, actor.__ray_call__.remote(_set_attributes, self._state))
        self._state = None

    def _method(self, name: str) -> Any:
        method = getattr(self._actor, name, None)
        if method is None:
            raise FinalError(f"rayActorAgent: {self._made['class']} has no method {name!r}")
        return method

    def _get(self, ray: Any, future: Any) -> Any:
        try:
            return ray.get(future)
        except ray.exceptions.RayActorError as error:
            self._actor = None
            raise SessionLost(f"the actor has died: {error}".splitlines()[0]) from error


def _ray(address: str) -> Any:
    """Ray, connected to the cluster: a process is connected to one.

    Processes of a cluster that begins here end with the thread that has started them, so that one stays.
    """
    ray = library("ray", "ray")
    with _CONNECTING:
        if not ray.is_initialized():
            connected: Future[None] = Future()
            Thread(target=_stay_connected, args=(ray, address, connected), name="ray", daemon=True).start()
            connected.result()
    return ray


def _stay_connected(ray: Any, address: str, connected: Future[None]) -> None:
    try:
        _connect(ray, address)
    except Exception as error:
        connected.set_exception(error)
        return
    connected.set_result(None)
    Event().wait()


def _connect(ray: Any, address: str) -> None:
    for offered in _ACTORS.values():  # actors need not be able to import the module of the worker
        plain = getattr(offered, "__ray_metadata__", None)
        of_class = offered if plain is None else plain.modified_class
        with suppress(KeyError, ValueError):
            ray.cloudpickle.register_pickle_by_value(sys.modules[of_class.__module__])
    own = {} if address else {"include_dashboard": False}
    ray.init(address=address or None, log_to_driver=False, **own)


def _actor_of(name: Value) -> Any:
    if isinstance(name, str) and name in _ACTORS:
        return _ACTORS[name]
    offers = suggestion(str(name), _ACTORS), "a module passed with --agents offers one with @ray_actor"
    raise FinalError(f"this worker has no Ray actor {name!r}", hint="; ".join(filter(None, offers)))


def _attributes(actor: Any) -> dict[str, Any]:
    return {**vars(actor)}


def _set_attributes(actor: Any, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        setattr(actor, name, value)
