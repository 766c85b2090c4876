"""Values of earlier tasks and of a run on one scale: each value's quantile within its own task.

Tasks differ in the scale of their values, and the present task's scale is unknown at first. Only
the order within a task is therefore used, as by Gaussian copulas (Salinas, Shen & Perrone, ICML
2020).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from objectives.space import UnitCube
from objectives.trial import EarlierTask, Evaluation
from optimizers.targets import succeeded, targets

Floats = NDArray[np.float64]


def quantiles(evaluations: Sequence[Evaluation]) -> Floats | None:
    """Return (rank - 1/2) / n of each of n evaluations, with the mean rank of equal values.

    Failures count as `optimizers/targets.py` says. None if no evaluation succeeded.
    """
    if not any(map(succeeded, evaluations)):
        return None
    t = targets(evaluations)
    ordered = np.sort(t)
    below, up_to = (np.searchsorted(ordered, t, side) for side in ("left", "right"))
    shares: Floats = (below + up_to) / (2 * len(t))
    return shares


def promising(tasks: Sequence[EarlierTask], cube: UnitCube) -> list[tuple[Floats, float]]:
    """Return the unit points (dim,) of all successes of earlier tasks, with their quantiles."""
    found = []
    for task in tasks:
        shares = quantiles(task.evaluations)
        if shares is not None:
            for config, evaluation, share in zip(
                task.configs, task.evaluations, shares.tolist(), strict=True
            ):
                if succeeded(evaluation):
                    found.append((cube.point(config), share))
    return found
