"""python -m bench.peers.langgraph_peer FILE: LangGraph with its SQLite checkpointer.

It is at its best here: a chain is one node that leads back to itself, which keeps its checkpoints small.
As a graph with a node for each, the same chain takes half as long again.
"""

from __future__ import annotations

import operator
import sqlite3
import sys
from importlib.metadata import version
from itertools import count
from typing import Annotated, Any, TypedDict

from bench.peers.lines import refuse, serve

DURABILITY = "sync: a checkpoint for each step, WAL and synchronous=FULL"


class One(TypedDict):
    n: int


class Many(TypedDict):
    items: Annotated[list[int], operator.add]
    n: int


def main(file: str) -> None:
    try:
        from langgraph.checkpoint.sqlite import SqliteSaver
        from langgraph.graph import END, START, StateGraph
        from langgraph.types import Send
    except ImportError:
        return refuse("LangGraph is not installed")
    connection = sqlite3.connect(file, check_same_thread=False)
    connection.execute("PRAGMA synchronous=FULL")
    saver = SqliteSaver(connection)
    threads = count()

    def run(graph: Any, size: int, value: Any) -> int:
        config = {"configurable": {"thread_id": str(next(threads))}, "recursion_limit": size + 10}
        return graph.invoke(value, config, durability="sync")["n"]

    def chain(size: int) -> Any:
        graph = StateGraph(One)
        graph.add_node("add", lambda state: {"n": state["n"] + 1})
        graph.add_edge(START, "add")
        graph.add_conditional_edges("add", lambda state: "add" if state["n"] < size else END)
        compiled = graph.compile(checkpointer=saver)
        return lambda: run(compiled, size, {"n": 0})

    def fan(size: int) -> Any:
        graph = StateGraph(Many)
        graph.add_node("add", lambda state: {"items": [state["n"] + 1]})
        graph.add_node("count", lambda state: {"n": len(state["items"])})
        graph.add_conditional_edges(START, lambda _: [Send("add", {"n": 0})] * size, ["add"])
        graph.add_edge("add", "count")
        graph.add_edge("count", END)
        compiled = graph.compile(checkpointer=saver)
        return lambda: run(compiled, size, {"items": [], "n": 0})

    names = ("langgraph", "langgraph-checkpoint-sqlite")
    serve({name: version(name) for name in names}, DURABILITY, {"chain": chain, "fan": fan})


if __name__ == "__main__":
    main(*sys.argv[1:])
