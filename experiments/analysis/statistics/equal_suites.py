"""Count false claims in many simulated suites of equal optimizers.

The verdict of one suite takes tens of milliseconds, so a thousand suites are screened as arrays by
the least p-value of each kind of claim, which the first step of Holm's correction uses. Every suite
with a claim according to the screen, and the first few suites of each design, are then passed to
`verdict`, and only its results are counted.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as t_distribution

from experiments.analysis.results import Floats
from experiments.analysis.statistics.comparisons import testable_kinds
from experiments.analysis.statistics.paired import differences
from experiments.analysis.statistics.ranks import LEAST_TASKS, nemenyi, rank_columns
from experiments.analysis.statistics.signed_rank import codes, signed_rank_arrays
from experiments.analysis.statistics.simulated import suite_of
from experiments.analysis.statistics.verdict import LEVEL, verdict

_CHECKED = 3  # suites per design that are passed to `verdict` whatever the screen says
_ROUNDING = 1e-12
_SLACK = 0.8  # standard deviations; far more than the error of the normal approximation


@dataclass(frozen=True)
class Claims:
    """The claims made about the suites of one design.

    Attributes:
        any_claim: number of suites in which any two optimizers were called distinguishable.
        claims: number of pairs called distinguishable.
        verdicts: number of pairs compared.
    """

    any_claim: int
    claims: int
    verdicts: int


def false_claims(values: Floats, instances: bool) -> Claims:
    """Count the verdict's claims about suites of values (n_suites, n_tasks, n_optimizers, n_seeds).

    Raises:
        RuntimeError: the verdict of one of the first suites differs from the screen's result.
    """
    suspected = screened(values, instances)
    any_claim = claims = verdicts = 0
    for number in np.flatnonzero(suspected | (np.arange(len(values)) < _CHECKED)).tolist():
        found = verdict(suite_of(values[number], instances))
        told = sum(one.distinguishable for one in (*found.across, *found.within))
        if (told > 0) != suspected[number]:
            raise RuntimeError(f"suite {number}: expected the screen's verdict, got another one")
        any_claim, claims = any_claim + (told > 0), claims + told
    n_suites, n_tasks, n_optimizers, _ = values.shape
    kinds = n_tasks + (n_tasks > 1)
    verdicts = n_suites * kinds * n_optimizers * (n_optimizers - 1) // 2
    return Claims(any_claim, claims, verdicts)


def screened(values: Floats, instances: bool) -> NDArray[np.bool_]:
    """Return for each suite whether its verdict calls any two optimizers distinguishable."""
    n_suites, n_tasks, n_optimizers, n_seeds = values.shape
    first, second = np.triu_indices(n_optimizers, 1)
    kinds = {"within": (n_seeds, n_tasks * len(first))}
    if n_tasks > 1:
        kinds["across"] = n_tasks, len(first)
    testable = testable_kinds(kinds, LEVEL)
    told = np.zeros(n_suites, dtype=bool)
    for kind in testable:
        needed = LEVEL / (kinds[kind][1] * len(testable))
        if kind == "across":
            ahead = _ahead(values, first, second, instances)
            rows = np.moveaxis(ahead, 1, 2).reshape(-1, n_tasks)
        else:
            rows = differences(values[:, :, first], values[:, :, second]).reshape(-1, n_seeds)
        found = _least(rows, needed).reshape(n_suites, -1).min(axis=1, initial=1.0)
        told |= found < needed
    return told


def _ahead(
    values: Floats, first: NDArray[np.int64], second: NDArray[np.int64], instances: bool
) -> Floats:
    """Return wins minus losses by task and pair, (n_suites, n_tasks, n_pairs)."""
    flat = codes(values.reshape(*values.shape[:2], -1), _ROUNDING)
    order = flat.reshape(values.shape).astype(np.int16)
    a, b = order[:, :, first], order[:, :, second]
    if instances:
        return np.asarray(np.sign(b - a).sum(axis=-1, dtype=np.float64))
    total = np.zeros(a.shape[:-1])
    for shift in range(values.shape[-1]):  # every run of one against every run of the other
        total += np.sign(np.roll(b, shift, axis=-1) - a).sum(axis=-1, dtype=np.float64)
    return total


def _least(d: Floats, needed: float) -> Floats:
    """Return the p-values of rows of differences, and 1 where p cannot be below `needed`."""
    size = codes(np.abs(d)).astype(np.float64)
    weights = np.sign(d) * (size + 1)  # not the ranks, but numbers in the same order
    ranks = np.argsort(np.argsort(np.abs(weights), axis=1), axis=1) + 1.0
    z = np.abs((np.sign(d) * ranks).sum(axis=1)) / np.sqrt((ranks**2 * (d != 0)).sum(axis=1) + 1e-9)
    near = np.flatnonzero(z > norm.isf(needed / 2) - _SLACK)
    p = np.ones(len(d))
    p[near] = signed_rank_arrays(d[near])[0]
    return p


def nemenyi_claims(values: Floats) -> int | None:
    """Count the suites in which mean ranks differ by the critical difference; None without one."""
    n_suites, n_tasks, n_optimizers, _ = values.shape
    difference = nemenyi(n_optimizers, n_tasks, LEVEL)
    if n_tasks <= LEAST_TASKS or n_optimizers < 3 or difference >= n_optimizers - 1:
        return None
    runs = np.moveaxis(values, 2, 0)  # (n_optimizers, n_suites, n_tasks, n_seeds)
    ranks = rank_columns(runs.reshape(n_optimizers, -1)).reshape(runs.shape).mean(axis=-1)
    tasks = rank_columns(ranks.reshape(n_optimizers, -1)).reshape(ranks.shape).mean(axis=-1)
    return int((np.ptp(tasks, axis=0) >= difference).sum())


def t_test_claims(values: Floats) -> int | None:
    """Count the suites in which Holm-corrected paired t tests call any two means different.

    None if a run has no success, which a t test cannot handle.
    """
    if not np.isfinite(values).all():
        return None
    first, second = np.triu_indices(values.shape[2], 1)
    d = values[:, :, first] - values[:, :, second]  # (n_suites, n_tasks, n_pairs, n_seeds)
    error = d.std(axis=-1, ddof=1) / np.sqrt(d.shape[-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * t_distribution.sf(np.abs(d.mean(axis=-1)) / error, d.shape[-1] - 1)
    least = np.nan_to_num(p, nan=1.0).reshape(len(values), -1).min(axis=1)
    return int((least * d.shape[1] * d.shape[2] < LEVEL).sum())
