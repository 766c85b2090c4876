"""Bootstrap confidence intervals over runs: BCa, by `scipy.stats.bootstrap`.

Efron's (1987) bias-corrected and accelerated interval is the percentile interval with its ends
adjusted for the bias and the skewness of the statistic. With few runs its coverage for a mean is
too low: the nominal 95 % interval covers the mean of five lognormal runs in 74 % of samples
(percentile interval: 72 %) and of twenty runs in 88 %. For the median its coverage is 93 to 95 %.
If all resamples give the same value, both ends equal it. If the correction is undefined, for
example because the statistic lies at the end of all resamples, the percentile interval's end is
used.

Whole curves are resampled, so the intervals at all steps come from the same resamples. One run has
no interval: both ends are NaN. An end is infinite if enough runs have no success.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import DegenerateDataWarning, bootstrap

from experiments.analysis.results import Floats

N_RESAMPLES = 1000
_NONE = 1e90  # replaces infinity in interpolation between resamples; its cube is finite


def interval(
    curves: Floats,
    statistic: Literal["median", "mean"] = "median",
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Return both ends of the BCa interval of a statistic over runs, (n_steps,) each.

    Args:
        curves: (n_runs, n_steps), infinite before a run's first success.
        statistic: the statistic over runs; a mean that includes a run without success is infinite.
        confidence: the confidence level of the interval, at each step.
        seed: the seed of the resamples.
    """
    if len(curves) < 2:
        empty = np.full(curves.shape[1], np.nan)
        return empty, empty.copy()
    finite = np.where(np.isfinite(curves), curves, _NONE)
    constant = np.ptp(finite, axis=0) == 0
    data = np.where(constant, 0.0, finite)
    ends = bca([data], getattr(np, statistic), confidence, seed, axis=0)
    held = [np.where(constant, finite[0], end) for end in ends]
    low, high = (np.where(end > _NONE / 1e6, np.inf, end) for end in held)
    return low, high


def bca(
    samples: Sequence[NDArray[Any]],
    statistic: Callable[..., Any],
    confidence: float = 0.95,
    seed: int = 0,
    axis: int = -1,
) -> tuple[Floats, Floats]:
    """Return both ends of the BCa interval of a statistic of independently resampled samples.

    Args:
        samples: the samples, with runs along `axis`; at least one has two or more runs.
        statistic: a function of these samples and `axis`.
        confidence: the confidence level of the interval.
        seed: the seed of the resamples.
        axis: the axis of the runs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        corrected = bootstrap(
            tuple(samples), statistic, axis=axis, n_resamples=N_RESAMPLES, vectorized=True,
            confidence_level=confidence, method="BCa", rng=np.random.default_rng(seed),
        )  # fmt: skip
    ends = corrected.confidence_interval
    tail = (1 - confidence) / 2
    draws = corrected.bootstrap_distribution
    by_share = (np.quantile(draws, share, axis=-1) for share in (tail, 1 - tail))
    low, high = (
        np.where(np.isnan(end), plain, end)
        for end, plain in zip((ends.low, ends.high), by_share, strict=True)
    )
    return low, high
