"""Bootstrapped intervals over runs, by `scipy.stats.bootstrap`.

Whole curves are resampled, so that the ends of one interval belong to the same resamples at every
step. One run has no interval: both ends are NaN. An infinite end says that so many runs had no
success.
"""

from typing import Literal

import numpy as np
from scipy.stats import bootstrap

from experiments.analysis.results import Floats

N_RESAMPLES = 1000
_NONE = 1e150  # stands for infinity where resamples are interpolated between


def interval(
    curves: Floats,
    statistic: Literal["median", "mean"] = "median",
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Return both ends of the percentile interval of a statistic over runs, (n_steps,) each.

    Args:
        curves: (n_runs, n_steps), infinite before a run's first success.
        statistic: a mean over runs without a success is infinite.
        confidence: of the interval, at each step.
        seed: of the resamples.
    """
    if len(curves) < 2:
        empty = np.full(curves.shape[1], np.nan)
        return empty, empty.copy()
    finite = np.where(np.isfinite(curves), curves, _NONE)
    constant = np.ptp(finite, axis=0) == 0
    found = bootstrap(
        (np.where(constant, 0.0, finite),),
        getattr(np, statistic),
        axis=0,
        n_resamples=N_RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    ends = [np.where(constant, finite[0], end) for end in (found.low, found.high)]
    low, high = (np.where(end > _NONE / 1e6, np.inf, end) for end in ends)
    return low, high
