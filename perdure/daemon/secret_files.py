"""Secrets of one installation: made at first use, in a file that only its user can read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def secret_in(file: Path) -> str:
    """The secret in this file; the first caller makes it. Raises OSError."""
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = secrets.token_urlsafe(32)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secret)
        os.link(draft, file)  # whole, or not at all
    except FileExistsError:  # another process was first
        return file.read_text(encoding="ascii").strip()
    finally:
        draft.unlink(missing_ok=True)
    return secret
