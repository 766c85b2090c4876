"""Running times to targets: ERT, ECDF, performance and data profiles.

A target is a normalised regret tau. A run reaches it at the first step at which its best value so
far is within tau x scale of the reference. This is the test of More and Wild (SIAM J. Optim. 20,
2009), f(x) <= f_L + tau (f(x0) - f_L), with the typical first success as f(x0). A run that does not
reach the target has an infinite running time and has spent its whole budget.
"""

from collections.abc import Sequence

import numpy as np

from experiments.analysis.results import Floats
from experiments.analysis.statistics.anytime import Suite, Task

TARGETS = tuple(float(tau) for tau in np.logspace(0, -3, 31))
"""Targets from a typical first success to a thousandth of it, ten per decade."""


def times(task: Task, optimizer: str, targets: Sequence[float] = TARGETS) -> Floats:
    """Return the budget spent to reach each target, (n_seeds, n_targets); infinite if never."""
    regret = task.regret(optimizer)
    reached = regret[:, :, None] <= np.asarray(targets) * (1 + 1e-12) + 1e-15
    first = task.grid[np.argmax(reached, axis=1)]
    return np.where(reached.any(axis=1), first, np.inf)


def expected_running_time(task: Task, optimizer: str, targets: Sequence[float] = TARGETS) -> Floats:
    """Return the ERT of each target, (n_targets,); infinite if no run reached it.

    The ERT is the sum over runs of the budget spent to reach the target, or of the whole budget if
    the run missed it, divided by the number of runs that reached it (Hansen et al., COCO, 2021,
    sec. 4.2). It estimates the expected running time of a restarted optimizer.
    """
    found = times(task, optimizer, targets)
    reached = np.isfinite(found)
    spent = np.where(reached, found, task.grid[-1]).sum(axis=0)
    count = reached.sum(axis=0)
    return np.where(count > 0, spent / np.maximum(count, 1), np.inf)


def ecdf(suite: Suite, optimizer: str, targets: Sequence[float] = TARGETS) -> tuple[Floats, Floats]:
    """Return budgets, (n,), and the share of all (task, run, target) reached within each, (n,).

    On a task without a run of the optimizer, no target counts as reached.
    """
    shares = []
    budgets = np.unique(np.concatenate([task.grid for task in suite.tasks]))
    for task in suite.tasks:
        if optimizer not in task.curves:
            shares.append(np.zeros(len(budgets)))
            continue
        found = np.sort(times(task, optimizer, targets).ravel())
        shares.append(np.searchsorted(found, budgets, side="right") / len(found))
    return budgets, np.mean(shares, axis=0)


def _solved(suite: Suite, tau: float) -> tuple[list[str], Floats, Floats]:
    """Return optimizers, times (n_problems, n_optimizers), and each problem's dimension.

    A problem is one seed of one task. A missing run reaches no target.
    """
    rows, dimensions = [], []
    for task in suite.tasks:
        own = {
            name: dict(zip(sorted(task.curves[name]), times(task, name, [tau])[:, 0], strict=True))
            for name in task.curves
        }
        dimension = _dimension(task)
        for seed in sorted({seed for by_seed in own.values() for seed in by_seed}):
            rows.append([own.get(name, {}).get(seed, np.inf) for name in suite.optimizers])
            dimensions.append(dimension)
    return suite.optimizers, np.array(rows), np.array(dimensions, dtype=np.float64)


def _dimension(task: Task) -> int:
    """Return the largest number of parameters in a configuration of the task."""
    runs = [run for by_seed in task.runs.values() for run in by_seed.values()]
    return max((len(config) for run in runs for config in run.configs), default=1)


def performance_profile(suite: Suite, tau: float = 0.1) -> tuple[Floats, dict[str, Floats]]:
    """Return ratios, (n,), and, by optimizer, the share of problems solved within each, (n,).

    The ratio is the time to the target over the least time of any optimizer on that problem (Dolan
    and More, 2002). A problem that no optimizer solves stays in the denominator of every share.
    """
    names, solved, _ = _solved(suite, tau)
    best = solved.min(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        ratios = np.where(np.isfinite(solved), solved / best, np.inf)
    return _shares(names, ratios)


def data_profile(suite: Suite, tau: float = 0.1) -> tuple[Floats, dict[str, Floats]]:
    """Return budgets / (parameters + 1), (n,), and the share of problems solved within each, (n,).

    This is eq. 2.9 of More and Wild (2009), with budgets in units of simplex gradients.
    """
    names, solved, dimensions = _solved(suite, tau)
    return _shares(names, solved / (dimensions[:, None] + 1))


def _shares(names: Sequence[str], each: Floats) -> tuple[Floats, dict[str, Floats]]:
    xs = np.unique(each[np.isfinite(each)])
    xs = xs if len(xs) else np.ones(1)
    return xs, {
        name: np.searchsorted(np.sort(each[:, i]), xs, side="right") / len(each)
        for i, name in enumerate(names)
    }
