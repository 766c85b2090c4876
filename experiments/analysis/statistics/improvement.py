"""Probability of improvement: how likely a run of one optimizer ends better than a run of another.

Agarwal et al. (NeurIPS 2021), sec. 4.3: P(X < Y) + P(X = Y) / 2 on each task, averaged over the
tasks, with a BCa interval (`intervals`) from resampling the runs within each task. Their package
`rliable` is not used: it depends on arch, seaborn and statsmodels, and needs a finite value for
each failure.

If all seeds are the same problem, every run of one optimizer is compared with every run of the
other. If each seed is a different instance, only runs of the same instance are compared. Both use
only the seeds that both optimizers have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import fsum

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.results import Floats
from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.intervals import bca
from experiments.analysis.statistics.paired import outcomes


@dataclass(frozen=True)
class Improvement:
    """How likely the first optimizer is better.

    Attributes:
        low: lower end of the 95 % interval over runs, given these tasks; NaN for one run each.
        high: upper end of the interval.
        n_tasks: the number of tasks on which both have runs of common seeds.
    """

    first: str
    second: str
    probability: float
    low: float
    high: float
    n_tasks: int


@dataclass(frozen=True)
class Margin:
    """The margin of wins of a pair on one task, as two integers.

    Attributes:
        ahead: the number of comparisons that the first wins, less the number that it loses.
        n: the number of comparisons.
    """

    ahead: int
    n: int

    @property
    def share(self) -> float:
        """The share of comparisons that the first wins, with ties counted as half."""
        return (self.n + self.ahead) / (2 * self.n)


def common_seeds(task: Task, first: str, second: str) -> tuple[int, ...]:
    """Return the seeds that both optimizers have, in order."""
    return tuple(sorted(task.curves.get(first, {}).keys() & task.curves.get(second, {}).keys()))


def by_seeds(task: Task, optimizers: Sequence[str]) -> dict[tuple[int, ...], list[tuple[str, str]]]:
    """Return all pairs of optimizers, grouped by the seeds that they have in common."""
    found: dict[tuple[int, ...], list[tuple[str, str]]] = {}
    for pair in combinations(optimizers, 2):
        found.setdefault(common_seeds(task, *pair), []).append(pair)
    return found


def margins(
    task: Task, optimizers: Sequence[str], equal: float = 0.0
) -> dict[tuple[str, str], Margin]:
    """Return the task's margin for each pair that has common seeds.

    Differences up to `equal` are ties.
    """
    there = [name for name in optimizers if name in task.curves]
    found: dict[tuple[str, str], Margin] = {}
    for seeds, pairs in by_seeds(task, there).items():
        if not seeds:
            continue
        finals = {
            name: task.final(name, seeds) for name in {name for pair in pairs for name in pair}
        }
        a, b = (np.array([finals[pair[side]] for pair in pairs]) for side in (0, 1))
        ahead, n = ahead_by(a, b, task.instances, equal)
        found |= {pair: Margin(one, n) for pair, one in zip(pairs, ahead.tolist(), strict=True)}
    return found


def win_shares(
    task: Task, optimizers: Sequence[str], equal: float = 0.0
) -> dict[tuple[str, str], float]:
    """Return the first optimizer's share of wins for each pair that has common seeds."""
    return {pair: margin.share for pair, margin in margins(task, optimizers, equal).items()}


def ahead_by(
    first: Floats, second: Floats, instances: bool, equal: float = 0.0
) -> tuple[NDArray[np.int64], int]:
    """Return wins minus losses, (...,), and the number of comparisons in each.

    Args:
        first: the final values of the first optimizer's runs, (..., n_seeds).
        second: those of the second, for the same seeds.
        instances: whether only runs of the same seed are compared.
        equal: differences up to this are ties.
    """
    n = first.shape[-1]
    if instances:
        return outcomes(first, second, equal).sum(axis=-1), n
    every = outcomes(first[..., :, None], second[..., None, :], equal)
    return every.sum(axis=(-2, -1)), n * n


def improvement(
    suite: Suite, first: str, second: str, seed: int = 0, equal: float = 0.0
) -> Improvement | None:
    """Return the probability over all tasks; None if the two share no seed on any task.

    Differences up to `equal` are ties.
    """
    tables = [
        _table(task, first, second, seeds, equal)
        for task in suite.tasks
        if (seeds := common_seeds(task, first, second))
    ]
    if not tables:
        return None
    centre = (1 + fsum(float(table.mean()) for table in tables) / len(tables)) / 2
    if max(table.size for table in tables) == 1:
        return Improvement(first, second, centre, np.nan, np.nan, len(tables))
    return Improvement(first, second, centre, *_interval(tables, seed), len(tables))


_Table = NDArray[np.int8]


def _table(task: Task, first: str, second: str, seeds: Sequence[int], equal: float) -> _Table:
    """Return the outcome of each comparison, in an order that does not depend on the seeds.

    The shape is (n_seeds,) if each seed is an instance, and otherwise (n_seeds, n_seeds).
    """
    a, b = (task.final(name, seeds) for name in (first, second))
    if task.instances:
        return np.sort(outcomes(a, b, equal)).astype(np.int8)
    return outcomes(np.sort(a)[:, None], np.sort(b)[None, :], equal).astype(np.int8)


def _interval(tables: Sequence[_Table], seed: int) -> tuple[float, float]:
    """Return the ends of the interval, which do not depend on names or on the order of tasks.

    Resamples are drawn table by table, so the tables are first sorted by their outcomes.
    """
    other = [np.sort(-table) if table.ndim == 1 else -table.T for table in tables]
    ways = [sorted(way, key=_key) for way in (tables, other)]
    turned = [*map(_key, ways[1])] < [*map(_key, ways[0])]
    chosen = ways[turned]
    places = [np.arange(n) for table in chosen for n in table.shape if n > 1]

    def share(*drawn: NDArray[np.int64], axis: int) -> Floats:
        left, total = iter(drawn), np.zeros(drawn[0].shape[:-1])
        for table in chosen:
            rows = next(left) if len(table) > 1 else np.zeros((1,), dtype=np.int64)
            if table.ndim == 1:
                total = total + table[rows].mean(axis=-1)
            elif len(table) > 1:
                columns = next(left)
                total = total + table[rows[..., :, None], columns[..., None, :]].mean(axis=(-2, -1))
            else:
                total = total + table[0, 0]
        return np.asarray((1 + total / len(chosen)) / 2)

    low, high = map(float, bca(places, share, seed=seed))
    return (1 - high, 1 - low) if turned else (low, high)


def _key(table: _Table) -> tuple[int, bytes]:
    return table.ndim, table.tobytes()
