"""The agents of this example, the database of its stores, and what graphs may ask it."""

import os
import sqlite3
from contextlib import closing

from perdure import AgentContext, agent
from perdure.agents.distributed.agents import sql, stock_rule
from perdure.agents.distributed.plugins import database, query

__all__ = ["sql", "stock_rule"]

STOCK = [("s1", "milk", 10, 5), ("s2", "milk", 90, 5), ("s3", "milk", 2, 4)]

query("stock_of_item", "select stock from items where store = :store and item = :item")
query("sales_per_day", "select sales from items where store = :store and item = :item")


@database("pos")
def pos(context):
    """The stores' own database; here one that is made when it is missing."""
    path = context.settings.home / "example_pos.db"
    if not path.exists():
        made = path.with_name(f"{path.name}.{os.getpid()}.{context.path.replace('/', '_')}")
        made.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(made)) as base:
            base.execute("create table items (store text, item text, stock int, sales int)")
            base.executemany("insert into items values (?, ?, ?, ?)", STOCK)
            base.commit()
        made.replace(path)
    return path


@agent("orderAgent", description="Orders from the supplier")
def order(inputs: dict, context: AgentContext) -> dict:
    """A real one sends `context.idempotency_key` along, so that a repeated attempt orders once."""
    return {"ordered": inputs["quantity"]}
