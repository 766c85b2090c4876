"""The targets that a model is fitted to when some evaluations have failed.

The targets t (n,) have no unit: 0 is the best success, 1 is the median success, and larger targets
are clipped at 100 (`optimizers/warp.py`). A failure is never better than the worst success. A
failure without a penalty has the target of the worst success. A failure with a penalty exceeds it
by at most the range of the successes, because a huge penalty would make all other differences
vanish. If the successes have no range (there is only one, or all are equal), the target of a
failure is one unit above them.
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
    """Return the targets t (n,) of evaluations, at least one of which succeeded."""
    return _targets(evaluations, cap)[0]


def learnable(evaluations: Sequence[Evaluation]) -> Vector:
    """Return the targets in natural units; a success that is not clipped keeps its own value."""
    t, scale, values, success = _targets(evaluations, CAP)
    return np.where(success & (t < CAP), values, scale.natural(t))


def _targets(evaluations: Sequence[Evaluation], cap: float) -> tuple[Vector, Scale, Vector, Flags]:
    """Return t, its scale, the values as told, and which evaluations succeeded."""
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
