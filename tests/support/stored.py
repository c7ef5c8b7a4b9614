"""Objects of a store, looked at and made older."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from perdure.storage import Store

DATA = b"large" * 1000
NAME = hashlib.sha256(DATA).hexdigest()


def age(root: Path, name: str, seconds: float) -> None:
    """Makes an object of the folder `root` older."""
    when = time.time() - seconds
    os.utime(root / "objects" / name[:2] / name[2:4] / name, (when, when))


async def names(store: Store) -> set[str]:
    return {object_info.name async for object_info in store.list()}
