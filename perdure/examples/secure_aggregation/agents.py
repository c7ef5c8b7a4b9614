"""The agents of this example, the data of five plants, and the secret of each."""

import numpy as np

from perdure.agents.distributed.agents import (
    fed_evaluate,
    fed_init,
    mask_deal,
    mask_key,
    mask_reveal,
    mask_sum,
    masked_train,
)
from perdure.agents.distributed.plugins import dataset, site_secret
from perdure.errors import FinalError

__all__ = ["fed_evaluate", "fed_init", "mask_deal", "mask_key", "mask_reveal", "mask_sum", "masked_train"]


def readings(seed, count):
    x = np.random.default_rng(seed).standard_normal((count, 3)).astype(np.float32)
    return x, (x @ np.array([2, -1, 0.5], np.float32) > 0).astype(np.int64)


@dataset("machines")
def machines(site, context):
    """What one plant has. The west loses its power after the first round."""
    if site == "west" and "masked" in context.path and "@1" in context.path:
        raise FinalError("no power")
    return readings(len(site), 40 + 10 * len(site))


@dataset("test")
def test(site, context):
    return readings(99, 200)


@site_secret
def secret(site):
    """On a host of its own, this reads 32 random bytes or more from a file that no one else can read."""
    return f"{site} keeps this to itself".encode().ljust(32, b".")
