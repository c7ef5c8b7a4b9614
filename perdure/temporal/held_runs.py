"""What the runs in the memory of this process hold: said by their workflows, asked by their workers."""

from __future__ import annotations

from typing import Final, Protocol
from weakref import WeakValueDictionary


class Holder(Protocol):
    """The workflow of a run."""

    def held_bytes(self) -> int:
        """The bytes that its run holds, as the quota `live` counts them."""
        ...


HOLDERS: Final[WeakValueDictionary[str, Holder]] = WeakValueDictionary()
"""By run id."""
