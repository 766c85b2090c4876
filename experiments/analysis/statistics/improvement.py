"""Probability of improvement: how likely a run of one optimizer ends better than one of another.

Agarwal et al. (NeurIPS 2021), sec. 4.3: P(X < Y) + P(X = Y) / 2 on each task, averaged over the
tasks, with an interval from resampling the runs within each task (a stratified bootstrap), as
their `rliable` does it. Here it is twenty lines; rliable would bring arch, seaborn and
statsmodels, and drops no failure only if somebody grades it first.

Where all seeds are one problem, every run of one is compared with every run of the other. Where
each seed is another instance, only runs of the same instance are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from experiments.analysis.results import Floats
from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.paired import rounded

N_RESAMPLES = 1000


@dataclass(frozen=True)
class Improvement:
    """How likely the first optimizer is better.

    Attributes:
        low: end of the 95 % interval over runs, given these tasks; NaN for one run each.
        high: the other end.
        n_tasks: on which both have runs.
    """

    first: str
    second: str
    probability: float
    low: float
    high: float
    n_tasks: int


def wins(task: Task, first: str, second: str, step: int = -1, equal: float = 0.0) -> Floats:
    """Return 1, 1/2 or 0 for each pair of runs; differences up to `equal` are ties.

    (n_first, n_second) where all seeds are one problem; (n_common_seeds,) of the same instances.
    """
    if task.instances:
        common = sorted(task.curves[first].keys() & task.curves[second].keys())
        a, b = (task.matrix(name, common)[:, step] for name in (first, second))
        return wins_of(a, b, equal)
    a, b = task.matrix(first)[:, step], task.matrix(second)[:, step]
    return wins_of(a[:, None], b[None, :], equal)


def wins_of(a: Floats, b: Floats, equal: float = 0.0) -> Floats:
    """Return 1, 1/2 or 0 where a is lower than b, the same but for `equal`, or higher."""
    x, y = rounded(a), rounded(b)
    won, lost = x < y - equal, y < x - equal
    return np.asarray((1.0 + won - lost) / 2, dtype=np.float64)


def win_shares(
    task: Task, optimizers: Sequence[str], equal: float = 0.0
) -> dict[tuple[str, str], float]:
    """Return the task's one number for each pair, the share of wins of its first.

    A pair without common runs has none; differences up to `equal` are ties.
    """
    there = [name for name in optimizers if name in task.curves]
    if task.instances:
        found = {pair: wins(task, *pair, equal=equal) for pair in combinations(there, 2)}
        return {pair: float(table.mean()) for pair, table in found.items() if table.size}
    finals = {name: rounded(task.final(name)) for name in there}
    shares = {}
    for first, second in combinations(there, 2):
        a, b = finals[first][:, None], finals[second]
        won, lost = np.count_nonzero(a < b - equal), np.count_nonzero(b < a - equal)
        shares[first, second] = float((1 + (won - lost) / (len(a) * len(b))) / 2)
    return shares


def improvement(
    suite: Suite, first: str, second: str, seed: int = 0, equal: float = 0.0
) -> Improvement | None:
    """Return the probability over all tasks; None where they share no task.

    Differences up to `equal` are ties.
    """
    tables = [
        table
        for task in suite.tasks
        if first in task.curves and second in task.curves
        if (table := wins(task, first, second, equal=equal)).size
    ]
    if not tables:
        return None
    rng = np.random.default_rng(seed)
    draws = np.mean([_resampled(table, rng) for table in tables], axis=0)
    low, high = np.quantile(draws, [0.025, 0.975])
    if max(table.size for table in tables) == 1:
        low = high = np.nan
    centre = float(np.mean([table.mean() for table in tables]))
    return Improvement(first, second, centre, float(low), float(high), len(tables))


def _resampled(table: Floats, rng: np.random.Generator) -> Floats:
    """Return the means of resamples of the runs, (N_RESAMPLES,)."""
    weights = [
        rng.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES) / n for n in table.shape
    ]  # how often each run is drawn
    if table.ndim == 1:
        return np.asarray(weights[0] @ table, dtype=np.float64)
    means: Floats = np.einsum("ri,ij,rj->r", weights[0], table, weights[1], optimize=True)
    return means
