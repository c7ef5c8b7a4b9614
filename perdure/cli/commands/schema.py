"""Prints the graph language as a JSON Schema (draft 2020-12), for editors and other tools."""

from __future__ import annotations

import argparse

from perdure.cli import output
from perdure.graph.schema import schema

EXAMPLES = """\
examples:
  perdure schema > perdure.schema.json

With the YAML extension of VS Code, this first line of a graph gives completion and checks:
  # yaml-language-server: $schema=perdure.schema.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Takes no arguments."""
    del parser


def main(args: argparse.Namespace) -> int:
    """Prints it."""
    del args
    output.result(output.json_text(schema()))
    return 0
