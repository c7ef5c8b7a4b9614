"""Reads the values of secrets, each time that one is sent: a file that was replaced counts at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from perdure.settings.vaults import VAULTS, VaultReader

MAX_SECRET_BYTES: Final = 64_000


_VAULTS: Final = VaultReader()


def read_secret(source: str) -> str:
    """The value at ``env:NAME``, ``file:/PATH`` or in a vault, without white space around it.

    Raises OSError for none; of a vault, FinalError, or TransientError where it does not answer.
    """
    kind, _, place = source.partition(":")
    if is_remote(source):
        return _VAULTS.read(kind, place, os.environ).strip()
    return SECRET_READERS[kind](place).strip()


def is_remote(source: str) -> bool:
    """Whether a value may have to be asked for, which takes its time."""
    return source.partition(":")[0] in VAULTS


def _from_environment(name: str) -> str:
    if name not in os.environ:
        raise OSError("it is not set")
    return os.environ[name]


def _from_file(path: str) -> str:
    with Path(path).open("rb") as file:
        return file.read(MAX_SECRET_BYTES).decode("utf-8", "replace")


SECRET_READERS: Final[Mapping[str, Callable[[str], str]]] = {"env": _from_environment, "file": _from_file}
"""What reads a source, by the word in front of its place."""
