"""Homes that have the local models, for every test that needs real ones."""

import os
from pathlib import Path

from perdure.local.fetch import fetch
from perdure.local.models import MINILM, SMOLLM2
from perdure.settings import Settings


def fetched() -> Path:
    """A folder with the models, fetched once for all sessions: that of PERDURE_TEST_HOME, or the user's."""
    configured = os.environ.get("PERDURE_TEST_HOME")  # noqa: TID251 -- a setting of the tests, not of Perdure
    home = Path(configured) if configured else Settings().home
    folder = home.absolute() / "models"
    for model in (SMOLLM2, MINILM):
        fetch(model, folder)
    return folder


def home_with(models: Path, folder: Path) -> Path:
    """Links the models into the home `folder`, so that nothing but the tests meets their processes."""
    (folder / "models").mkdir(parents=True, exist_ok=True)
    for model in (SMOLLM2, MINILM):
        link = folder / "models" / model.name
        if not link.exists():
            link.symlink_to(models / model.name)
    return folder
