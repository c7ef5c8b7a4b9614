"""Writes machines.csv: what sensors of 400 machines read, and whether the machine failed in the next week.

python machine_data.py FOLDER
"""

import csv
import sys
from pathlib import Path

import numpy as np

ROWS = 400


def rows():
    """The table, the same each time: machines fail when they vibrate and run hot."""
    rng = np.random.default_rng(5)
    for number in range(ROWS):
        kind = ("lathe", "mill", "press")[number % 3]
        vibration, temperature = rng.normal(4 + number % 3, 1.5), rng.normal(62, 9)
        risk = 0.9 * (vibration - 5) + 0.12 * (temperature - 62) + rng.normal(0, 0.8)
        yield [kind, f"{vibration:.2f}", f"{temperature:.1f}", "yes" if risk > 0.8 else "no"]


if __name__ == "__main__":
    with (Path(sys.argv[1]) / "machines.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kind", "vibration", "temperature", "failed"])
        writer.writerows(rows())
