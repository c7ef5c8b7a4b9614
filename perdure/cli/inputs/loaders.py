"""graphLoader: the graphs in other files that a graph asks for, read before it runs.

They travel inside the run, like the graph itself. A file is named relative to the folder of the
graph and must lie inside it.
"""

from __future__ import annotations

from pathlib import Path

from perdure.errors import AgentError, GraphError, Problem
from perdure.graph.check import modernized
from perdure.graph.nested import every_node
from perdure.graph.text.load import load
from perdure.graph.values import Value, is_dict
from perdure.net import confined_files

GRAPH_FILE_NAMES = (".yaml", ".yml", ".json")
MAX_LOADED_FILE_COUNT = 1_000
MAX_LOADED_FILE_BYTES = 1_000_000


def graphs_of(document: Value, source: str) -> dict[str, Value]:
    """The graphs by file name, those that loaded graphs ask for included; nothing where none is asked for.

    Raises GraphError for a file that is missing, outside the folder, or no graph.
    """
    folder = Path(source).absolute().parent
    graphs: dict[str, Value] = {}
    named = _named_graphs(document, "")
    while named:
        name, place = named.pop()
        if name in graphs:
            continue
        if len(graphs) == MAX_LOADED_FILE_COUNT:
            raise GraphError([_problem(place, f"asks for more than {MAX_LOADED_FILE_COUNT} graphs")], source)
        if not name.endswith(GRAPH_FILE_NAMES):
            raise GraphError([_problem(place, f"{name!r} is not a .yaml, .yml or .json file")], source)
        try:
            path, parts = confined_files.locate(folder, "", name)
            data = modernized(
                load(confined_files.read(folder, path, parts, MAX_LOADED_FILE_BYTES), source=name).data
            )
        except AgentError as error:
            raise GraphError(
                [_problem(place, f"{name!r}: {str(error).partition(chr(10))[0]}")], source
            ) from error
        if not is_dict(data) or "nodes" not in data:
            raise GraphError([_problem(place, f"{name!r} is not a graph: it has no nodes")], source)
        graphs[name] = data
        named += _named_graphs(data, f"{place} > {name}: ")
    return graphs


def _named_graphs(document: Value, prefix: str) -> list[tuple[str, str]]:
    """The file names that a graph and the graphs inside it ask for, each with its place."""
    return [
        (loader["fileName"], f"{place}.graphLoader")
        for place, node in every_node(document, prefix)
        if is_dict(loader := node.get("graphLoader")) and isinstance(loader.get("fileName"), str)
    ]


def _problem(place: str, finding: str) -> Problem:
    return Problem("graph-file", place, finding, "name a file in the folder of the graph, or below it")
