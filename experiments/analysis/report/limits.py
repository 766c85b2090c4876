"""Sentences on the questions that these runs cannot answer."""

import numpy as np

from experiments.analysis.report.comparisons import Pair
from experiments.analysis.report.subject import Subject
from experiments.analysis.statistics.anytime import Task
from experiments.analysis.statistics.ranks import LEAST_TASKS, CriticalDifference, rank_table
from experiments.analysis.statistics.verdict import listed

_QUICK_S = 0.01  # below this cost of an evaluation, the optimizer's own time dominates


def limits(subject: Subject, critical: CriticalDifference | None, pairs: list[Pair]) -> list[str]:
    """Return one sentence for each limitation, which also says what would be needed."""
    suite = subject.suite
    n_seeds = min(len(own) for task in suite.tasks for own in task.curves.values())
    said = []
    if len(suite.optimizers) < 2:
        said.append("Which optimizer is better: there is only one optimizer.")
    if n_seeds == 1:
        said.append(
            "How much is due to chance: with one seed there are no intervals and no tests. Another "
            "seed may reverse any order on this page."
        )
    elif n_seeds < 6:
        said.append(
            f"Small differences: {n_seeds} seeds of one objective can never reach p < .05 in an "
            f"exact paired test (6 seeds can), and bootstrap intervals from so few runs are too "
            f"narrow."
        )
    if len(suite.tasks) == 1:
        said.append(
            "Other objectives: all results here are about one objective and do not generalise to "
            "others."
        )
    if critical is None and len(suite.optimizers) > 1:
        n = len(rank_table(suite)[0])
        said.append(
            f"Whether mean ranks differ significantly: a critical difference requires at least "
            f"three optimizers on more than {LEAST_TASKS} objectives, and more optimizers require "
            f"more objectives. Here {len(suite.optimizers)} optimizers have runs in common on "
            f"{n} objectives."
        )
    unknown = [task.name for task in suite.tasks if not task.known]
    if unknown:
        names = ", ".join(unknown[:4]) + (", …" if len(unknown) > 4 else "")
        said.append(
            f"The distance from the optimum: the optimum is not known for {names}. Targets and "
            f"profiles there are relative to the best value that any of these runs found."
        )
    if not pairs:
        said.append(
            "Centre bias: this requires runs of one objective with objective.shift=none and with a "
            "shift."
        )
    if not any(run.tests for run in subject.runs):
        said.append("How the incumbents perform on held-out data: no test metrics were logged.")
    quick = [task.name for task in suite.tasks if _cost(subject, task) < _QUICK_S]
    if quick:
        named = listed(quick if len(quick) < 4 else [*quick[:3], "others"])
        said.append(
            f"Which optimizer is ahead in time or cost when evaluations are expensive: evaluations "
            f"of {named} take less than {_QUICK_S:g} s, because they stand in for expensive ones."
        )
    budget = max(float(task.grid[-1]) for task in suite.tasks)
    said.append(
        f"The effect of a larger budget: no result here goes beyond {budget:g} evaluations."
    )
    return said


def _cost(subject: Subject, task: Task) -> float:
    """Return the median cost of an evaluation, in seconds."""
    return float(np.median(np.concatenate([run.costs for run in subject.runs_of(task)])))
