"""What a model learns from evaluations of which some failed.

The targets t (n,) have no unit: 0 is the best success, 1 the median one, and what lies 100 times
as far from the best is cut there (`optimizers/warp.py`). A failure is never better than the worst
success: without a graded penalty it is as bad as that, with one it is at most one range of the
successes worse, or a huge penalty would flatten all the rest. Where the successes have no range (a
single one, or all equal) a failure lies one unit above them.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from objectives.trial import Evaluation
from optimizers.warp import CAP, Scale, Vector

Flags = NDArray[np.bool_]


def succeeded(evaluation: Evaluation) -> bool:
    """Return whether an evaluation has a finite value and no error."""
    value = evaluation.value
    return evaluation.error is None and value is not None and math.isfinite(value)


def targets(evaluations: Sequence[Evaluation], cap: float = CAP) -> Vector:
    """Return t (n,) of evaluations, of which one at least succeeded."""
    return _targets(evaluations, cap)[0]


def learnable(evaluations: Sequence[Evaluation]) -> Vector:
    """Return the targets in natural units: the value of a success that is not cut is its own."""
    t, scale, values, success = _targets(evaluations, CAP)
    return np.where(success & (t < CAP), values, scale.natural(t))


def _targets(evaluations: Sequence[Evaluation], cap: float) -> tuple[Vector, Scale, Vector, Flags]:
    """Return t, its scale, the values as told and which of them are those of successes."""
    success = np.array([succeeded(evaluation) for evaluation in evaluations])
    raw = [e.value if e.value is not None else math.nan for e in evaluations]
    values = np.array(raw, dtype=np.float64)
    scale = Scale.of(values[success])
    t = np.zeros(len(values))
    t[success] = np.minimum(scale.relative(values[success]), cap)
    worst = float(t.max())
    least, most = (worst, 2 * worst) if worst > 0 else (1.0, 1.0)
    graded = ~success & np.isfinite(values)
    t[~success] = least
    t[graded] = np.clip(scale.relative(values[graded]), least, most)
    return t, scale, values, success
