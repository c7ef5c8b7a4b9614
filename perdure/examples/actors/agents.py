"""A class whose objects keep state, and the agent that holds them without Ray."""

from perdure import agent
from perdure.agents.engines import RayActor, ray_actor
from perdure.errors import FinalError

__all__ = ["RayActor"]


@ray_actor("Worker")
class Worker:
    """An ordinary class, which Ray may make an actor of."""

    def __init__(self, worker_id):
        self.worker_id = worker_id
        self.sum = 0

    def process_data(self, data):
        self.sum += data * data
        return data * data

    def total(self):
        return {"worker": self.worker_id, "sum": self.sum}


METHODS = {"process_data": Worker.process_data, "total": Worker.total}


@agent("actorAgent", description="Calls a method of an object that lives in this worker")
class Actor:
    """As rayActorAgent does, with the same inputs and params."""

    def __init__(self):
        self.worker = None

    def call(self, inputs: dict, params: dict) -> object:
        """The object is made with the first call of the session."""
        if params["method"] not in METHODS:
            raise FinalError(f"the worker has no method {params['method']!r}")
        if self.worker is None:
            self.worker = Worker(**inputs["init"])
        arguments = {name: value for name, value in inputs.items() if name != "init"}
        return METHODS[params["method"]](self.worker, **arguments)

    def checkpoint(self) -> dict:
        """The state, as a value."""
        return {**vars(self.worker)}

    def restore(self, checkpoint: dict) -> None:
        """In another worker, after this one has died."""
        self.worker = Worker(checkpoint["worker_id"])
        self.worker.sum = checkpoint["sum"]
