"""The version of this package, and how its extras are installed; apart from `perdure`, so that the layers
below the client can name them.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"


def installation(extra: str) -> str:
    """The command that installs an extra, such as "local"; the package is on no index yet."""
    return f"pip install '.[{extra}]' in a clone of Perdure"
