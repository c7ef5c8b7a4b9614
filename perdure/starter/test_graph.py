"""Runs the graph without a server: python -m pytest."""

from pathlib import Path

import agents

from perdure.graph.text.load import load
from perdure.testing import run_in_memory


def test_the_name_is_greeted() -> None:
    """An input replaces the value of a static node."""
    graph = load(Path(__file__).with_name("graph.yaml").read_bytes()).data
    result = run_in_memory(graph, [agents.shout], {"name": "Anna"})
    assert result.results == {"shouted": {"text": "HELLO, ANNA!"}}
