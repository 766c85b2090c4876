"""Wilcoxon's signed-rank test by the exact distribution of its statistic.

The statistic is the sum of the ranks of the positive differences. Under the null hypothesis, each
difference has either sign with equal probability. Given the sizes of the differences, the p-value
is the share of all 2^n assignments of signs whose statistic is at least as far from its mean as the
observed one. Ties among the sizes share their mean rank (midranks; doubled here to be integers).

Differences of zero are left out, as by Wilcoxon (1945), because a zero has no sign. Demsar (2006)
splits their ranks evenly between both sides instead, which changes p slightly.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm, rankdata

from experiments.analysis.results import Floats

_APART = 1e-13  # relative; unequal numbers of twelve digits differ by more than this
_LARGEST = 1e300  # stands for infinity, and differs from every number by more than rounding
_MOST_STEPS = 100_000_000  # limit of operations for the exact distribution: half a second


def signed_rank(d: Floats) -> tuple[float, int]:
    """Return the two-sided p-value of differences, (n,), and the sign of the statistic."""
    return signed_ranks(d[None, :])[0]


def signed_ranks(d: Floats) -> list[tuple[float, int]]:
    """Return `signed_rank` of each row of differences, (n_tests, n_pairs).

    Above `_MOST_STEPS` (about 500 different sizes), p comes from the normal approximation with
    corrections for ties and for continuity.
    """
    p, sign = signed_rank_arrays(d)
    return list(zip(p.tolist(), sign.tolist(), strict=True))


def signed_rank_arrays(d: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Return the p-values and the signs for rows of differences, (n_tests,) each."""
    if d.size == 0:
        return np.ones(len(d)), np.zeros(len(d), dtype=np.int64)
    n_zero = (d == 0).sum(axis=1, keepdims=True)
    # Zeros have the lowest ranks, so each other rank exceeds the rank among non-zeros by n_zero.
    doubled = 2 * (rankdata(codes(np.abs(d)), axis=1) - n_zero)
    ranks = np.where(d == 0, 0, np.rint(doubled)).astype(np.int64)
    above, total = np.where(d > 0, ranks, 0).sum(axis=1), ranks.sum(axis=1)
    farther = np.maximum(above, total - above)
    p = np.ones(len(d))
    for row, places in _alike(np.sort(ranks, axis=1)):
        p[places] = _two_sided(row, farther[places])
    return p, np.sign(2 * above - total)


def _alike(rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield each distinct row, (n,), with the indices at which it occurs."""
    as_first = (rows == rows[0]).all(axis=1)  # without ties all rows are equal
    yield rows[0], np.flatnonzero(as_first)
    others = np.flatnonzero(~as_first)
    if len(others):
        unique, which = np.unique(rows[others], axis=0, return_inverse=True)
        which = which.reshape(-1)
        order = np.argsort(which, kind="stable")
        for row, places in zip(
            unique, np.split(order, np.cumsum(np.bincount(which))[:-1]), strict=True
        ):
            yield row, others[places]


def codes(values: Floats, apart: float = _APART) -> NDArray[np.int64]:
    """Return integers in the order of the values along the last axis, with equal ones for ties.

    Values are ties if their relative difference is at most `apart`, which only rounding causes, or
    if both are infinite.
    """
    order = np.argsort(values, axis=-1, kind="stable")
    rising = np.take_along_axis(values, order, axis=-1)
    low, high = rising[..., :-1], rising[..., 1:]
    size = np.minimum(np.maximum(np.abs(low), np.abs(high)), _LARGEST)
    with np.errstate(invalid="ignore"):  # infinity minus infinity is not a step up
        steps_up = np.abs(high - low) > apart * size
    first = np.zeros((*values.shape[:-1], min(1, values.shape[-1])), dtype=bool)
    steps = np.concatenate([first, steps_up], axis=-1)
    found = np.empty(values.shape, dtype=np.int64)
    np.put_along_axis(found, order, np.cumsum(steps, axis=-1, dtype=np.int64), axis=-1)
    return found


def _two_sided(ranks: NDArray[np.int64], farther: NDArray[np.int64]) -> Floats:
    """Return the two-sided p-values of the larger of the two rank sums (doubled ranks), (n,)."""
    each = ranks[ranks > 0]
    if not len(each):
        return np.ones(len(farther))
    unit = int(np.gcd.reduce(each))
    scaled, sums = each // unit, farther // unit
    if scaled.max() == 1:  # all sizes are equal: this is the sign test
        tail = binom.sf(sums - 1, len(scaled), 0.5)
    elif len(scaled) * int(scaled.sum()) <= _MOST_STEPS:
        tail = _tail(scaled.tobytes())[sums]
    else:
        error = np.sqrt(float((scaled**2).sum())) / 2
        tail = norm.sf((sums - scaled.sum() / 2 - 0.5) / error)
    return np.asarray(np.minimum(1.0, 2 * tail))


@lru_cache(maxsize=256)
def _tail(ranks: bytes) -> Floats:
    """Return P(sum over a random subset of the ranks >= s) for s = 0, ..., their sum.

    Args:
        ranks: positive integers, as the bytes of an int64 array.
    """
    each = np.frombuffer(ranks, dtype=np.int64).tolist()
    chance = np.zeros(sum(each) + 1)
    chance[0] = 1.0
    top = 0
    for rank in each:
        moved = chance[: top + 1].copy()
        chance[rank : top + rank + 1] += moved
        chance[: top + rank + 1] /= 2
        top += rank
    return np.cumsum(chance[::-1])[::-1]
