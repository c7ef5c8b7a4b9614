"""A run whose values are kept in a store gives the results of one that has them in place."""

from __future__ import annotations

from random import Random
from typing import Any
from zlib import crc32

import pytest

from perdure.engine.messages import RunAgent
from tests.support.drive import Fail
from tests.support.far import Agent, Far, Shelf
from tests.support.graphs import every_node, make_graph, parts

PARTS = 10
SEEDS = 3_000


def agent_of(salt: int, fails: bool) -> Agent:
    """The same answer for the same work, large or small, here or away."""

    def answer(command: RunAgent) -> Any:
        assert "p" not in command.inputs.get("params", {}) or command.params
        chance = crc32(f"{salt} {command.key} {command.retry}".encode())
        if fails and chance % 10 == 0:
            raise Fail(f"failed {command.key}", final=chance % 20 == 0)
        flags: tuple[Any, ...] = (0, True, "yes", [], {}, None, [0], {"v": None})
        v = {"v": chance % 5} if chance % 3 else chance % 5
        value = {"v": v, "flag": flags[chance % 8], "inputs": command.inputs}
        return value if chance % 7 else [value, "text", None][chance % 3]

    return answer


def rich(document: dict[str, Any], random: Random) -> dict[str, Any]:
    """Larger values in the static nodes (objects, strings), and more that reads them."""
    for node in every_node(document):
        sources = [value for value in node.get("inputs", {}).values() if str(value).startswith(":")]
        if sources and node["agent"] == "work":
            source = sources[0]
            extras: dict[str, Any] = {
                "if": source,
                "passThrough": {"passed": source, "texts": [f"${{{source}}}!"]},
                "repeatUntil": {"exists": random.choice((".v", ".inputs.i0", ".passed"))},
                "output": {"v": ".v", "flag": ".flag", "deep": [".inputs.i0.v", ".inputs.i0.$0.flag"]},
                "console": {"before": True},
            }
            node |= {key: value for key, value in extras.items() if random.random() < 0.2}
            node["inputs"] = {
                **node["inputs"],
                "text": f"{source} is ${{{source}}}",
                "deep": {"list": [source, 1], "length": f"{source}.v.length()", "json": f"{source}.toJSON()"},
                "params": {"p": random.choice((source, 1))},
            }
        if node.get("value") == [1, 2, 3]:
            node["value"] = [{"v": 1, "flag": [1]}, {"v": {"v": 2}, "flag": 0}, "text"]
        if node.get("value") is True:
            node["value"] = {"flag": "yes", "v": [None, {"flag": 0}]}
    return document


def is_free(document: dict[str, Any]) -> bool:
    """Whether the order of answers cannot matter, where no agent of a map fails."""
    nodes = every_node(document)
    return not any("anyInput" in node or ("retry" in node and "graph" in node) for node in nodes)


@pytest.mark.parametrize("part", parts(PARTS))
def test_deferred_values_make_no_difference(part: int) -> None:
    fetched = held = 0
    for seed in range(part, SEEDS, PARTS):
        document = rich(make_graph(Random(seed)), Random(seed))
        if not is_free(document):
            continue
        fails = not any(node.get("agent") == "mapAgent" for node in every_node(document))
        agent = agent_of(seed, fails)
        shelf = Shelf(Random(seed), chance=(0.2, 0.5, 1.0)[seed % 3])
        near = Far(document, agent)
        near.run()
        far = Far(document, agent, shelf, moved=0.1, puts=0.1)
        far.run()
        assert far.outcome == near.outcome, f"seed {seed}"
        if not near.outcome[2]:  # the first row that fails stops the others, wherever they are
            assert sorted(far.paths) == sorted(near.paths), f"seed {seed}"
        fetched += len(far.fetched)
        held += len(shelf.values)
    assert fetched > 100
    assert held > 1_000
