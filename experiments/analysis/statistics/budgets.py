"""The budget on which the runs of a task are compared, in full evaluations.

Every run is compared at the budget that all runs of the task were given. A run that spent less
keeps its incumbent up to that budget, whether it ended, failed or is unfinished. An unfinished run
might have found a better configuration, so interrupting a run never helps its optimizer.
"""

from collections.abc import Sequence

import numpy as np

from experiments.analysis.results import ROUNDING, Floats, Run


def spent(run: Run) -> Floats:
    """Return the budget spent until each answer, (n,).

    A trial at fidelity f spends f. A trial that resumes the checkpoint of another spends the
    difference of the two fidelities.
    """
    return run.spent


def within(run: Run, budget: float) -> np.ndarray:
    """Return which answers arrived within a budget, (n,)."""
    return np.asarray(spent(run) <= budget + ROUNDING)


def total(run: Run) -> float:
    """Return the total budget that a run spent."""
    return float(spent(run)[-1]) if len(run.fidelities) else 0.0


def common_budget(name: str, runs: Sequence[Run], failed: set[tuple[str, int]]) -> float:
    """Return the largest budget that every run was given and that at least one run spent.

    Args:
        name: the task's name.
        runs: the task's runs.
        failed: optimizer and seed of the failed runs, which may have no evaluation.

    Raises:
        ValueError: a run that did not fail has no evaluation.
    """
    for run in runs:
        if not len(run.fidelities) and (run.optimizer, run.seed) not in failed:
            raise ValueError(
                f"{name}: expected evaluations, got a run without any ({run.optimizer}, seed "
                f"{run.seed}); finish it with the command that started it, or leave it out"
            )
    given = min(run.budget for run in runs)
    furthest = max(run.budget if run.ended else total(run) for run in runs)
    return min(given, furthest) if furthest > 0 else given


def steps(budget: float) -> Floats:
    """Return 1, 2, ..., budget; only the budget if it is below 1."""
    whole = np.arange(1.0, np.floor(budget + ROUNDING) + 1)
    return whole if len(whole) and budget - whole[-1] < ROUNDING else np.append(whole, budget)
