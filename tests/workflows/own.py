"""A workflow of another author, with values that Perdure knows nothing of."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio import activity, workflow
from temporalio.exceptions import ChildWorkflowError

with workflow.unsafe.imports_passed_through():
    from google.protobuf.duration_pb2 import Duration
    from pydantic import BaseModel

    from perdure import run_graph

GRAPH: dict[str, object] = {
    "nodes": {
        "b": {"agent": "numbered", "isResult": True},
        "a": {"agent": "numbered", "isResult": True},
    }
}
BROKEN: dict[str, object] = {"nodes": {"a": {"agent": "broken"}}}


class Color(enum.StrEnum):
    """An enum."""

    RED = "red"


@dataclass
class Line:
    """A dataclass inside another."""

    text: str
    color: Color


@dataclass
class Page:
    """A dataclass with others inside."""

    lines: list[Line]
    tags: set[str]


class Person(BaseModel):
    """A model of pydantic."""

    name: str
    born: datetime


ADA = Person(name="Ada", born=datetime(1815, 12, 10, tzinfo=UTC))
PAGE = Page([Line("x", Color.RED)], {"b", "a"})
SHORT = timedelta(seconds=10)


@activity.defn
async def turned(page: Page) -> Page:
    """A page, its lines the other way round."""
    return Page(page.lines[::-1], page.tags)


@activity.defn
def thrice(number: int) -> int:
    """Runs in another process."""
    return 3 * number


@workflow.defn
class Pages:
    """Nested dataclasses, an enum and a set, in and out; a protobuf message."""

    @workflow.run
    async def run(self, page: Page, wait: Duration) -> Page:
        """The page with one more line."""
        turned_page = await workflow.execute_activity(turned, page, start_to_close_timeout=SHORT)
        number = await workflow.execute_activity(thrice, 7, start_to_close_timeout=SHORT)
        return Page([*turned_page.lines, Line(f"{number} {wait.seconds}", Color.RED)], page.tags)


@workflow.defn
class People:
    """A model of pydantic with a time in it, which needs Temporal's converter for pydantic."""

    @workflow.run
    async def run(self, person: Person, at: datetime) -> Person:
        """The person, reborn."""
        assert isinstance(person.born, datetime)
        return Person(name=person.name, born=at)


@workflow.defn
class Parent:
    """A workflow whose children are graphs."""

    @workflow.run
    async def run(self) -> list[str]:
        """The order of nodes, and why the other graph fails."""
        result = await run_graph(GRAPH, name="child", id="child")
        try:
            await run_graph(BROKEN)
        except ChildWorkflowError as error:
            return [*result.all, *result.results, getattr(error.cause, "type", ""), str(error.cause)]
        return []
