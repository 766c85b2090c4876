"""The budget on which the runs of a task are compared, in full evaluations.

Every run is held to what the task's runs were all given. A run that did not spend that much keeps
its incumbent to the end: one that ended has no more to ask, one that failed will ask no more, and
one that is unfinished might have found better, so that breaking off never helps an optimizer.
"""

from collections.abc import Sequence

import numpy as np

from experiments.analysis.results import ROUNDING, Floats, Run


def spent(run: Run) -> Floats:
    """Return the budget spent until each answer, (n,).

    A trial at a share f of a full evaluation spends f. One that continues another's checkpoint
    spends the difference.
    """
    return run.spent


def within(run: Run, budget: float) -> np.ndarray:
    """Tell which answers came within a budget, (n,)."""
    return np.asarray(spent(run) <= budget + ROUNDING)


def total(run: Run) -> float:
    """Return what a run spent in all."""
    return float(spent(run)[-1]) if len(run.fidelities) else 0.0


def common_budget(name: str, runs: Sequence[Run], failed: set[tuple[str, int]]) -> float:
    """Return the budget that every run of the task was given, and that one of them spent.

    Args:
        name: of the task.
        runs: its runs.
        failed: optimizer and seed of those that failed as a whole, which may hold no evaluation.

    Raises:
        ValueError: another run has no evaluation.
    """
    for run in runs:
        if not len(run.fidelities) and (run.optimizer, run.seed) not in failed:
            raise ValueError(
                f"{name}: expected evaluations, got a run without any ({run.optimizer}, seed "
                f"{run.seed}); finish it with the command that began it, or leave it out"
            )
    given = min(run.budget for run in runs)
    furthest = max(run.budget if run.ended else total(run) for run in runs)
    return min(given, furthest) if furthest > 0 else given


def steps(budget: float) -> Floats:
    """Return 1, 2, ..., the budget; the budget alone where that is below 1."""
    whole = np.arange(1.0, np.floor(budget + ROUNDING) + 1)
    return whole if len(whole) and budget - whole[-1] < ROUNDING else np.append(whole, budget)
