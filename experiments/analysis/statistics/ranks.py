"""Mean ranks over seeds and tasks, and Nemenyi's critical difference.

The optimizers' runs of one seed are ranked (1 is best; ties share their mean rank; a run without a
success is last). Ranks are averaged over the seeds, which gives one row per task, and then over the
tasks. They do not depend on any scale or reference value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution
from scipy.stats import friedmanchisquare, norm, rankdata, studentized_range

from experiments.analysis.results import Floats
from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.signed_rank import codes

_ROUNDING = 1e-12  # relative
LEAST_TASKS = 10
"""Friedman's and Nemenyi's approximations hold for more than 10 tasks (Demsar, 2006, 3.2.2)."""


def task_ranks(task: Task, optimizers: Sequence[str], step: int = -1) -> Floats | None:
    """Return mean ranks (n_optimizers,) over the common seeds; None without common seeds."""
    seeds = task.seeds
    if not seeds or any(name not in task.curves for name in optimizers):
        return None
    values = np.array([task.matrix(name, seeds)[:, step] for name in optimizers])
    return np.asarray(rank_columns(values).mean(axis=1), dtype=np.float64)


def rank_columns(values: Floats) -> Floats:
    """Rank (n_optimizers, n_columns) within each column; rounding differences count as ties."""
    return np.asarray(rankdata(codes(values.T, _ROUNDING), axis=1).T, dtype=np.float64)


def order_codes(values: Floats) -> NDArray[np.int64]:
    """Return integers (n_optimizers, n_columns) in the order of each column; ties are equal."""
    return codes(values.T, _ROUNDING).T


def rank_table(suite: Suite, step: int = -1) -> tuple[list[str], Floats]:
    """Return the names of the tasks that can be ranked, and their rows (n_tasks, n_optimizers)."""
    found = {task.name: task_ranks(task, suite.optimizers, step) for task in suite.tasks}
    rows = {name: row for name, row in found.items() if row is not None}
    table = np.array(list(rows.values())).reshape(len(rows), len(suite.optimizers))
    return list(rows), table


def over_budget(task: Task, optimizers: Sequence[str]) -> Floats | None:
    """Return the mean ranks at each step of the task's grid, (n_steps, n_optimizers)."""
    rows = [task_ranks(task, optimizers, step) for step in range(len(task.grid))]
    return None if rows[0] is None else np.array(rows)


def anytime_ranks(suite: Suite) -> Floats | None:
    """Return ranks averaged over budget, seeds and tasks, (n_optimizers,)."""
    found = [over_budget(task, suite.optimizers) for task in suite.tasks]
    rows = [ranks.mean(axis=0) for ranks in found if ranks is not None]
    return np.asarray(np.mean(rows, axis=0)) if rows else None


@dataclass(frozen=True)
class CriticalDifference:
    """Friedman's test over tasks, and Nemenyi's critical difference of mean ranks.

    Attributes:
        mean_ranks: the mean rank of each optimizer.
        p: the p-value of Friedman's test in Iman and Davenport's form.
        difference: Nemenyi's critical difference at the significance level.
        detectable: the difference of true mean ranks that is detected with a power of 80 %.
        n_tasks: the number of tasks that were ranked.
        groups: maximal groups of optimizers that are not distinguishable, sorted by mean rank.
    """

    mean_ranks: dict[str, float]
    p: float
    difference: float
    detectable: float
    n_tasks: int
    groups: list[list[str]]


def critical_difference(suite: Suite, level: float) -> CriticalDifference | None:
    """Return the critical difference; None if the data do not support one.

    It requires more than `LEAST_TASKS` tasks and at least three optimizers, and it must be smaller
    than the largest possible difference of mean ranks.
    """
    _, table = rank_table(suite)
    n, k = table.shape
    if n <= LEAST_TASKS or k < 3:
        return None
    rows = rank_columns(table.T).T  # Friedman's test ranks each task's mean ranks
    difference = nemenyi(k, n, level)
    if difference >= k - 1:
        return None
    mean = rows.mean(axis=0)
    standard_error = np.sqrt(k * (k + 1) / (6 * n))
    return CriticalDifference(
        mean_ranks=dict(zip(suite.optimizers, map(float, mean), strict=True)),
        p=friedman(rows),
        difference=difference,
        detectable=float(difference + norm.ppf(0.8) * standard_error),
        n_tasks=n,
        groups=_groups(suite.optimizers, mean, difference),
    )


@lru_cache(maxsize=64)
def nemenyi(n_optimizers: int, n_tasks: int, level: float) -> float:
    """Return q sqrt(k (k + 1) / (6 N)) (Demsar, 2006, sec. 3.2.2)."""
    k = n_optimizers
    q = studentized_range.ppf(1 - level, k, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(k * (k + 1) / (6 * n_tasks)))


def friedman(rows: Floats) -> float:
    """Return the p-value of Friedman's test, in Iman and Davenport's form.

    Args:
        rows: ranks, (n_tasks, n_optimizers).
    """
    n, k = rows.shape
    if np.ptp(rows, axis=1).max() == 0:
        return 1.0
    chi2 = friedmanchisquare(*rows.T).statistic
    if chi2 >= n * (k - 1) * (1 - 1e-12):
        return 0.0
    f = (n - 1) * chi2 / (n * (k - 1) - chi2)
    return float(f_distribution.sf(f, k - 1, (k - 1) * (n - 1)))


def _groups(names: Sequence[str], mean: Floats, difference: float) -> list[list[str]]:
    """Return the maximal groups of optimizers whose mean ranks lie within the difference."""
    order = np.argsort(mean, kind="stable")
    found: list[list[str]] = []
    last = -1
    for i in range(len(order)):
        end = max(j for j in range(i, len(order)) if mean[order[j]] - mean[order[i]] < difference)
        if end > last and end > i:
            found.append([names[j] for j in order[i : end + 1]])
        last = max(last, end)
    return found
