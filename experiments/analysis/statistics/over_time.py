"""Curves over simulated time instead of budget: what several workers are worth."""

from collections.abc import Mapping

import numpy as np

from experiments.analysis.results import ROUNDING, Floats, Run
from experiments.analysis.statistics import budgets
from experiments.analysis.statistics.anytime import Task

_STEPS = 120


def is_simulated(task: Task) -> bool:
    """Return whether all runs of a task have a simulated clock that moves."""
    runs = [run for by_seed in task.runs.values() for run in by_seed.values()]
    return bool(runs) and all(run.ends is not None and run.ends.max(initial=0) > 0 for run in runs)


def over_time(
    task: Task, curves: Mapping[str, Floats], sign: int = 1
) -> tuple[Floats, dict[str, Floats]]:
    """Return curves over simulated seconds instead of budget.

    A run that has spent its budget keeps its last value. A run has no value (infinity, or minus
    infinity where higher is better) before it has spent the first step of the budget's grid.

    Args:
        task: a task whose runs are all simulated.
        curves: by optimizer, what is shown at each step of the budget, (n_seeds, n_steps).
        sign: -1 where higher is better.

    Returns:
        Simulated seconds, (n_times,), spaced evenly on a logarithmic axis; and by optimizer the
        curves at these times, (n_seeds, n_times).
    """
    times = _times(task)
    shown = {}
    for name, table in curves.items():
        rows = []
        for seed, row in zip(sorted(task.curves[name]), table, strict=True):
            run = task.runs.get(name, {}).get(seed)
            steps = np.full(len(times), -1) if run is None else steps_at(task, run, times)
            rows.append(np.where(steps < 0, sign * np.inf, row[np.maximum(steps, 0)]))
        shown[name] = np.array(rows)
    return times, shown


def _times(task: Task) -> Floats:
    """Return simulated seconds between the first answer and the end of the longest run."""
    ends = [
        run.ends[budgets.within(run, task.budget)]
        for by_seed in task.runs.values()
        for run in by_seed.values()
        if run.ends is not None
    ]
    every = np.concatenate(ends)
    last = float(every.max())
    first = max(float(every[every > 0].min()), last * 1e-6)
    return np.geomspace(first, last, _STEPS) * (1 + ROUNDING)


def steps_at(task: Task, run: Run, times: Floats) -> np.ndarray:
    """Return the step of the budget's grid that a run has completed at each time; -1: none.

    Args:
        task: the task of the run.
        run: a run with a simulated clock.
        times: simulated seconds, (n_times,).
    """
    assert run.ends is not None
    counted = int(budgets.within(run, task.budget).sum())
    n = np.searchsorted(run.ends[:counted], times, side="right")
    spent = np.append(0.0, budgets.spent(run)[:counted])[n]
    return np.asarray(np.searchsorted(task.grid, spent + ROUNDING, side="right") - 1)
