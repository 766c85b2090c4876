"""Sentences on what these runs cannot show."""

import numpy as np

from experiments.analysis.report.comparisons import Pair
from experiments.analysis.report.subject import Subject
from experiments.analysis.statistics.anytime import Task
from experiments.analysis.statistics.ranks import LEAST_TASKS, CriticalDifference, rank_table
from experiments.analysis.statistics.verdict import listed

_QUICK_S = 0.01  # an optimizer's own time is as long, whatever the objective stands for


def limits(subject: Subject, critical: CriticalDifference | None, pairs: list[Pair]) -> list[str]:
    """Return one sentence for each limit; it says what would be needed."""
    suite = subject.suite
    n_seeds = min(len(own) for task in suite.tasks for own in task.curves.values())
    said = []
    if len(suite.optimizers) < 2:
        said.append("Which optimizer is better: there is one optimizer only.")
    if n_seeds == 1:
        said.append(
            "How much is luck: with one seed there are no intervals and no tests. Another seed may "
            "reverse any order on this page."
        )
    elif n_seeds < 6:
        said.append(
            f"Small differences: {n_seeds} seeds of one objective can never reach p < .05 in an "
            f"exact paired test (6 seeds can), and intervals from so few runs are too narrow."
        )
    if len(suite.tasks) == 1:
        said.append(
            "Other objectives: all results here are about one objective. Which optimizer to use on "
            "another one does not follow from them."
        )
    if critical is None and len(suite.optimizers) > 1:
        n = len(rank_table(suite)[0])
        said.append(
            f"A critical difference of mean ranks: it needs at least three optimizers on more than "
            f"{LEAST_TASKS} objectives, and more objectives the more optimizers there are. Here "
            f"are {len(suite.optimizers)} optimizers on {n}."
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
            "Centre bias: it needs runs of one objective with objective.shift=none and runs with a "
            "shift."
        )
    if not any(run.tests for run in subject.runs):
        said.append("How the incumbents do on held-out data: these runs logged no test metrics.")
    quick = [task.name for task in suite.tasks if _cost(subject, task) < _QUICK_S]
    if quick:
        named = listed(quick if len(quick) < 4 else [*quick[:3], "others"])
        said.append(
            f"Which optimizer is ahead in time or cost when evaluations are expensive: evaluations "
            f"of {named} take less than {_QUICK_S:g} s, because they stand in for expensive ones."
        )
    budget = max(float(task.grid[-1]) for task in suite.tasks)
    said.append(
        f"What a larger budget would change: no result here goes beyond {budget:g} evaluations."
    )
    return said


def _cost(subject: Subject, task: Task) -> float:
    """Return the typical seconds of an evaluation."""
    return float(np.median(np.concatenate([run.costs for run in subject.runs_of(task)])))
