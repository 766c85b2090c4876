"""What cannot be said on the strength of these runs, in sentences."""

import numpy as np

from experiments.analysis.report.comparisons import Pair
from experiments.analysis.report.gather import Gathered
from experiments.analysis.statistics.anytime import Task
from experiments.analysis.statistics.ranks import LEAST_TASKS, CriticalDifference, rank_table
from experiments.analysis.statistics.verdict import listed

_QUICK_S = 0.01  # an optimizer's own time is as long, whatever the objective stands for


def limits(found: Gathered, critical: CriticalDifference | None, pairs: list[Pair]) -> list[str]:
    """Return a sentence for each; each says what it would take."""
    suite = found.suite
    n_seeds = min(len(own) for task in suite.tasks for own in task.curves.values())
    said = []
    if len(suite.optimizers) < 2:
        said.append("Who is better: there is one optimizer only.")
    if n_seeds == 1:
        said.append(
            "How much is luck: with one seed there are no intervals and no tests; another seed "
            "may turn every order on this page around."
        )
    elif n_seeds < 6:
        said.append(
            f"Small differences: {n_seeds} seeds of one objective never reach p < .05 by an exact "
            f"paired test (6 can); the intervals of so few runs are too narrow."
        )
    if len(suite.tasks) == 1:
        said.append(
            "Other objectives: all this is about one; which optimizer to take elsewhere does not "
            "follow from it."
        )
    if critical is None and len(suite.optimizers) > 1:
        n = len(rank_table(suite)[0])
        said.append(
            f"A critical difference of mean ranks: it takes three optimizers on more than "
            f"{LEAST_TASKS} objectives and enough of them for the number of optimizers; here are "
            f"{len(suite.optimizers)} on {n}."
        )
    unknown = [task.name for task in suite.tasks if not task.known]
    if unknown:
        names = ", ".join(unknown[:4]) + (", …" if len(unknown) > 4 else "")
        said.append(
            f"How far from the optimum: it is not known for {names}; targets and profiles there "
            f"are relative to the best that any of these runs saw."
        )
    if not pairs:
        said.append(
            "Centre bias: it takes runs of one objective with objective.shift=none and with a "
            "shift."
        )
    if not any(run.tests for run in found.runs):
        said.append("How incumbents do on held-out tests: these runs logged no test metrics.")
    quick = [task.name for task in suite.tasks if _cost(found, task) < _QUICK_S]
    if quick:
        named = listed(quick if len(quick) < 4 else [*quick[:3], "others"])
        said.append(
            f"Who is ahead in time or cost where evaluations are expensive: those of {named} "
            f"answer within {_QUICK_S:g} s, as stand-ins do."
        )
    budget = max(float(task.grid[-1]) for task in suite.tasks)
    said.append(f"What more budget would change: nothing here looks beyond {budget:g} evaluations.")
    return said


def _cost(found: Gathered, task: Task) -> float:
    """Return the typical seconds of an evaluation."""
    return float(np.median(np.concatenate([run.costs for run in found.runs_of(task)])))
