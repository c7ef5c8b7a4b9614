"""The agents of sites that learn: digits from a file of the site, an epoch that takes a while, a journal."""

import time

import numpy as np

from perdure.agents.agent import AgentContext
from perdure.agents.distributed.agents import fed_average, fed_evaluate, fed_init, fed_train
from perdure.agents.distributed.plugins import dataset
from perdure.settings import Settings

__all__ = ["fed_average", "fed_evaluate", "fed_init", "fed_train"]

FOLDER = Settings.from_env().home / "data"


def read(name: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(FOLDER / f"{name}.npz") as file:
        return file["x"], file["y"]


@dataset("digits")
def digits(site: int | str, context: AgentContext) -> tuple[np.ndarray, np.ndarray]:
    own = FOLDER / f"work-{site}"  # of a site that is slow
    time.sleep(float((own if own.exists() else FOLDER / "work").read_text()))
    return read(f"site-{site}")


@dataset("heldOut")
def held_out(site: int | str, context: AgentContext) -> tuple[np.ndarray, np.ndarray]:
    with (FOLDER / "rounds").open("a") as journal:
        journal.write(f"{time.time()} {context.path}\n")
    return read("heldOut")
