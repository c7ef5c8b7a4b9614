"""The version of this package; apart from `perdure`, so that the layers below the client can name it."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
