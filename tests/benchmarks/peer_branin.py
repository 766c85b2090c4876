"""Branin for every peer: each evaluation is first recorded in a file, and then delayed.

The environment variable EVALUATED names the file (if unset, nothing is written), and SECONDS is the
delay. The module imports nothing of the suite, because it runs in the peers' own environments.
"""

import math
import os
import time

BOUNDS = {"x1": (-5.0, 10.0), "x2": (0.0, 15.0)}


def branin(x1: float, x2: float) -> float:
    """Return the value at a point; the lowest is 0.397887."""
    path = os.environ.get("EVALUATED")
    if path:
        with open(path, "a") as file:
            file.write(f"{os.environ.get('RUN', '')} {x1!r} {x2!r}\n")
    time.sleep(float(os.environ.get("SECONDS", "0")))
    a = x2 - 5.1 / (4 * math.pi**2) * x1**2 + 5 / math.pi * x1 - 6
    return a**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x1) + 10
