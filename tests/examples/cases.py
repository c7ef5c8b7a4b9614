"""The examples as test cases: what is in a folder, where it runs, what it must give."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from perdure.activities.agent import Agent
from perdure.activities.catalog import catalog, load_agents
from perdure.client import GraphClient, Run
from perdure.graph.load import load
from perdure.payloads import RunResult
from perdure.settings import Settings
from tests import durable
from tests.examples.services import services
from tests.servers import serve

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples"
FILES = ("README.md", "expected.json", "graph.yaml")


@dataclass(frozen=True)
class Example:
    """A folder of examples/. Its expected.json has one of these, and `needs` where it needs something:

    equals: all results, as they are
    contains: the path of a value in the results, and texts that it must contain, whatever the case
    needs: "models" (real ones, on this machine) or "services" (stood in for by a server of the tests)
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
def settings_for(example: Example, home: Path) -> Iterator[Settings]:
    """The settings under which `example` runs; the services that it needs are up meanwhile."""
    settings = Settings(home=home, file_root=ROOT)
    if example.expected.get("needs") != "services":
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
async def started(example: Example, client: GraphClient) -> AsyncIterator[Run]:
    """A durable run of `example`, with a worker for it in this process."""
    with settings_for(example, client.settings.home) as settings:
        async with durable.started(client, example.name, example.document, example.agents, settings) as run:
            yield run


def plain(result: RunResult) -> Any:
    """The results as JSON shows them."""
    return json.loads(json.dumps(result.results))
