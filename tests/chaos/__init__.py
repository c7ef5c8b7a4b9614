"""Chaos: real servers and workers, killed, stopped and raced, by seed; and what must hold all the same.

Each scenario is a command that prints a table and exits with 0 where every bar is met, else with 1:

    python -m tests.chaos kills --kills 20 --seconds 180 --runs 150 --seed 1
    python -m tests.chaos kills --help

pytest runs each of them in a short version (`SHORT` in its module), without those of COMMANDS_ONLY.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

SCENARIOS = ("kills", "sweep", "ack", "cancel", "race", "answers", "signals", "pause")

COMMANDS_ONLY = ("learning", "recovery", "namespaces", "notices")
"""They start more processes, or wait longer, than a test may, or need root."""


def scenario(name: str) -> Any:
    """The module of a scenario: its `Options`, `SHORT`, and `run(options, home)`, which gives a Verdict."""
    return import_module(f"tests.chaos.{name}")
