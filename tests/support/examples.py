"""The examples as test cases: what is in a folder, where it runs, what it must give."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pytest

from perdure import local
from perdure.agents.agent import Agent
from perdure.agents.catalog import catalog, load_agents
from perdure.agents.llm.openai_client import close_clients
from perdure.client import GraphClient
from perdure.engine.human_tasks import HumanPrompt
from perdure.engine.inbox.events import EventBatch, ExternalEvent
from perdure.graph.text.load import load
from perdure.protocol.payloads import RunResult
from perdure.runs import Run
from perdure.settings import Settings
from perdure.testing import MemoryEnvironment, memory_shell
from tests.support import ROOT, durable
from tests.support.example_services import services
from tests.support.models import fetched, home_with
from tests.support.servers import serve

FOLDER = ROOT / "examples"
FILES = ("README.md", "expected.json", "graph.yaml")


@dataclass(frozen=True)
class Example:
    """A folder of examples/. Its expected.json has one of the first two, and `needs` where it needs more:

    equals: all results, as they are
    contains: paths in the results, and strings that the value there must contain, whatever the case
    needs: "models" (real ones, on this machine) or "services" (stood in for by a server of the tests)
    answers: what people answer, by the paths of their questions
    events: what devices send
    """

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def document(self) -> Any:
        return load((self.folder / "graph.yaml").read_bytes()).data

    @cached_property
    def expected(self) -> dict[str, Any]:
        return json.loads((self.folder / "expected.json").read_text())

    @property
    def needs(self) -> str | None:
        return self.expected.get("needs")

    @property
    def answers(self) -> dict[str, Any]:
        return self.expected.get("answers", {})

    @property
    def events(self) -> tuple[ExternalEvent, ...]:
        return tuple(ExternalEvent(**fields) for fields in self.expected.get("events", ()))

    @cached_property
    def agents(self) -> dict[str, Agent]:
        own = self.folder / "agents.py"
        return {**catalog(), **(load_agents(str(own)) if own.exists() else {})}

    def shown(self, language: str) -> str:
        """The one block of the README in `language`: sh, json or mermaid."""
        text = (self.folder / "README.md").read_text()
        (block,) = re.findall(rf"^```{language}\n(.*?)\n```$", text, re.M | re.S)
        return block

    def difference(self, results: Mapping[str, Any]) -> str:
        """What is wrong with these results, empty for nothing."""
        if "equals" in self.expected:
            want = self.expected["equals"]
            return "" if results == want else f"expected {want}, got {results}"
        missing = [
            f"{text!r} is not in {path}: {member(results, path)!r}"
            for path, texts in self.expected["contains"].items()
            for text in texts
            if text.lower() not in str(member(results, path)).lower()
        ]
        return "; ".join(missing)


def member(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value[int(key) if isinstance(value, list) else key]
    return value


EXAMPLES = [Example(folder) for folder in sorted(FOLDER.iterdir()) if folder.is_dir()]


@contextmanager
def settings_for(example: Example, home: Path) -> Generator[Settings]:
    """The settings under which `example` runs, what it needs being there. Models have to be stopped."""
    settings = Settings(home=home, file_root=example.folder)
    if example.needs == "models":
        if not local.installed():
            pytest.skip("needs the extra perdure[local]")
        home_with(fetched(), home)
    if example.needs != "services":
        yield settings
        return
    with serve(services) as server:
        yield replace(
            settings,
            base_urls={"openai": f"{server.url}/v1"},
            wikipedia_url=f"{server.url}/w/api.php",
            allow_hosts=(server.host,),
        )


@asynccontextmanager
async def started(example: Example, client: GraphClient) -> AsyncGenerator[Run]:
    """A durable run of `example`, with a worker for it in this process."""
    with settings_for(example, client.settings.home) as settings:
        models = partial(local.ensure, settings)
        run = durable.started(client, example.name, example.document, example.agents, settings, models)
        async with run as begun:
            for path, value in example.answers.items():
                await begun.answer(path, value, who="anna")
            if example.events:
                await begun.send(*example.events)
            yield begun
    await close_clients()


async def in_memory(example: Example, home: Path) -> RunResult:
    """The result of `example` on the in-memory shell."""
    with settings_for(example, home) as settings:
        models = partial(local.ensure, settings)
        around = MemoryEnvironment(settings=settings, local_models=models, ask=partial(_ask, example))
        shell = memory_shell(example.document, example.agents, environment=around)
        if example.events:
            shell.waits.events.take(EventBatch(events=example.events))
        return await shell.run()


async def _ask(example: Example, question: HumanPrompt) -> Any:
    return example.answers[question.path]


def plain(result: RunResult) -> Any:
    """The results as JSON shows them."""
    return json.loads(json.dumps(result.results))
