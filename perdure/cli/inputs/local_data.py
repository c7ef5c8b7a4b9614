"""The option of commands that serve agents: local data, which agents open by name."""

from __future__ import annotations

import argparse
from dataclasses import replace

from perdure.errors import UsageError
from perdure.settings import Settings
from perdure.settings.parsers import named_path


def data_option(parser: argparse.ArgumentParser) -> None:
    """Adds --data."""
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="a file or folder that agents open by this name, and that stays here; may be repeated",
    )


def with_data(settings: Settings, words: list[str]) -> Settings:
    """The settings with this local data as well. Raises UsageError for data that is not there."""
    data = {**settings.data, **dict(named_path("--data", word) for word in words)}
    for name, path in data.items():
        if not path.exists():
            hint = "give an absolute path, or one from the folder in which the command starts"
            raise UsageError(f"--data {name}: there is no file or folder {path}", hint=hint)
    return replace(settings, data=data)
