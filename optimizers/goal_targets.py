"""The targets of models of several goals, or of limits, when some evaluations have failed.

Each goal's numbers are signed so that smaller is better. A failure has the worst number of all
successes in that goal. A failure with a penalty exceeds it by a share of the goal's range, from 0
for the smallest penalty among the failures to 1 for the largest. Failures therefore remain graded
in every goal, whatever the size of the penalty.
"""

import math
import sys
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from objectives.trial import Evaluation, Goal, Limit, signed

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

_LARGEST = sys.float_info.max


class ToldGoals:
    """Numbers for an optimizer that is told each evaluation once.

    Attributes:
        n_values: the number of values that are minimised.
    """

    def __init__(self, goals: Mapping[str, Goal], limits: Mapping[str, Limit]) -> None:
        """Create the targets without an evaluation.

        Args:
            goals: the goals by metric; with fewer than two, the value is minimised.
            limits: the limits by metric.
        """
        self._goals = dict(goals) if len(goals) > 1 else {}
        self._limits = dict(limits)
        self.n_values = max(len(self._goals), 1)
        self._worst: list[float] | None = None
        self._best: list[float] | None = None
        self._penalties: list[float] = []
        self._worst_excess = dict.fromkeys(self._limits, 0.0)

    def learn(self, evaluation: Evaluation) -> tuple[list[float] | None, dict[str, float]]:
        """Return the values to minimise and the excess of each limit.

        The values are None if the evaluation failed and no earlier one can stand for it. With
        several goals, a failure with a penalty exceeds the worst numbers so far, by its grade among
        the penalties so far.
        """
        failed = evaluation.error is not None
        numbers = self._numbers(evaluation)
        if numbers is not None:
            worst = self._worst or numbers
            self._worst = [max(pair) for pair in zip(worst, numbers, strict=True)]
            best = self._best or numbers
            self._best = [min(pair) for pair in zip(best, numbers, strict=True)]
        if failed:
            excesses = {name: max(x, 1.0) for name, x in self._worst_excess.items()}
        else:
            excesses = {
                name: limit.excess(evaluation.metrics.get(name))
                for name, limit in self._limits.items()
            }
            for name, excess in excesses.items():
                self._worst_excess[name] = max(self._worst_excess[name], excess)
        return numbers if numbers is not None else self._failed(evaluation.value), excesses

    def _failed(self, penalty: float | None) -> list[float] | None:
        """Return the numbers of a failure that has none of its own; None before any success."""
        if self._goals and penalty is not None and math.isfinite(penalty):
            self._penalties.append(penalty)
        if self._worst is None or self._best is None:
            return None
        if not self._goals or penalty is None or not math.isfinite(penalty):
            return self._worst
        grade = _grade(penalty, min(self._penalties), max(self._penalties))
        pairs = zip(self._worst, self._best, strict=True)
        return [_beyond(worst, best, grade) for worst, best in pairs]

    def _numbers(self, evaluation: Evaluation) -> list[float] | None:
        """Return an evaluation's own numbers; for a failure, its penalty if it has one."""
        if not self._goals:
            return None if evaluation.value is None else [evaluation.value]
        if evaluation.error is not None:
            return None
        return signed(self._goals, evaluation.metrics)


def succeeded(evaluation: Evaluation, goals: Mapping[str, Goal]) -> bool:
    """Return whether an evaluation succeeded and has a finite number for each goal."""
    if evaluation.error is not None:
        return False
    if len(goals) < 2:
        return evaluation.value is not None and math.isfinite(evaluation.value)
    numbers = signed(goals, evaluation.metrics)
    return numbers is not None and all(map(math.isfinite, numbers))


def goal_targets(evaluations: Sequence[Evaluation], goals: Mapping[str, Goal]) -> Matrix:
    """Return the numbers (n, m) of evaluations, at least one of which succeeded.

    With fewer than two goals, m is 1 and the number is the value.
    """
    success = np.array([succeeded(evaluation, goals) for evaluation in evaluations])
    if len(goals) < 2:
        rows = [[e.value or 0.0] for e in evaluations]
    else:
        rows = [signed(goals, e.metrics) or [0.0] * len(goals) for e in evaluations]
    numbers = np.array(rows, dtype=np.float64)
    good = numbers[success]
    worst, best, grades = good.max(axis=0), good.min(axis=0), _grades(evaluations)
    for place in np.flatnonzero(~success):
        grade = grades[place]
        numbers[place] = [_beyond(*pair, grade) for pair in zip(worst, best, strict=True)]
    return numbers


def _grades(evaluations: Sequence[Evaluation]) -> Vector:
    """Return the grade in [0, 1] of each failure (n,); 0 without a penalty, and for successes."""
    penalties = np.array(
        [math.nan if e.error is None or e.value is None else e.value for e in evaluations]
    )
    known = np.isfinite(penalties)
    grades = np.zeros(len(penalties))
    if known.any():
        low, high = penalties[known].min(), penalties[known].max()
        grades[known] = [_grade(penalty, low, high) for penalty in penalties[known]]
    return grades


def _beyond(worst: float, best: float, grade: float) -> float:
    """Return worst + grade (worst - best), at most the largest double."""
    half = worst / 2 + grade * (worst / 2 - best / 2)
    return 2 * min(half, _LARGEST / 2)


def _grade(penalty: float, low: float, high: float) -> float:
    """Return the place in [0, 1] of a penalty between the least and the largest one."""
    width = high / 2 - low / 2  # halves, so that the largest doubles do not overflow
    return float((penalty / 2 - low / 2) / width) if width > 0 else 1.0


def excesses(evaluations: Sequence[Evaluation], limits: Mapping[str, Limit]) -> Matrix:
    """Return the excess of each limit (n, number of limits); positive if it is violated.

    A failure, or a metric that was not measured, has the largest excess among the others, but at
    least 0.
    """
    rows = [
        [limit.excess(e.metrics.get(name)) for name, limit in limits.items()] for e in evaluations
    ]
    table = np.array(rows, dtype=np.float64).reshape(len(evaluations), len(limits))
    for column in table.T:
        column[~np.isfinite(column)] = max(column[np.isfinite(column)].max(initial=0.0), 0.0)
    return table


def feasible(evaluations: Sequence[Evaluation], limits: Mapping[str, Limit]) -> NDArray[np.bool_]:
    """Return which evaluations (n,) succeeded and satisfy all limits."""
    return np.array(
        [
            e.error is None
            and all(limit.excess(e.metrics.get(name)) <= 0 for name, limit in limits.items())
            for e in evaluations
        ],
        dtype=bool,
    )
