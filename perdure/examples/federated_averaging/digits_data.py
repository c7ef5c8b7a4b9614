"""The digits of scikit-learn, dealt to ten sites by label, and 360 that no site has.

python digits_data.py FOLDER    writes site-0.npz to site-9.npz and heldOut.npz
"""

import sys
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

SITES = 10


@cache
def _dealt():
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(7).permutation(len(y))
    x, y = (x / 16.0).astype(np.float32)[order], y[order].astype(np.int64)
    held, (x, y) = (x[:360], y[:360]), (x[360:], y[360:])
    shards = np.array_split(np.argsort(y, kind="stable"), 2 * SITES)
    deal = np.random.default_rng(7).permutation(len(shards)).reshape(SITES, 2)
    rows = [np.concatenate([shards[shard] for shard in hand]) for hand in deal]
    return held, [(x[mine], y[mine]) for mine in rows]


def held_out():
    """What the model is judged on."""
    return _dealt()[0]


def of_site(site):
    """Two shards of the digits sorted by label: most sites know two or three digits."""
    return _dealt()[1][int(site)]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for site in range(SITES):
        x, y = of_site(site)
        np.savez(folder / f"site-{site}.npz", x=x, y=y)
    x, y = held_out()
    np.savez(folder / "heldOut.npz", x=x, y=y)
