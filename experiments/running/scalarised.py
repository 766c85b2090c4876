"""An optimizer of one value on several goals, or under limits, by a scalarisation.

Notation: f (m,) the goals' numbers, signed so that less is better; r (m,) their references and
z (m,) the best possible numbers; w (m,) a weight vector, drawn once by the seed of the run;
g = (f - z) / (r - z), 0 where the goal is best and 1 at its reference.

- `weights`: the weighted sum, sum_i w_i g_i, with w uniform on the simplex.
- `tchebycheff`: max_i w_i g_i + 0.05 sum_i w_i g_i, with w uniform on the simplex (the augmented
  Tchebycheff function of J. Knowles, *ParEGO*, IEEE Trans. Evol. Comp. 10(1), 2006, eq. 2).
- `hypervolume`: -min_i (1 - g_i) / w_i, with w uniform on the positive part of the unit sphere.
  The mean over w of its m-th power is proportional to the hypervolume up to the reference
  (R. Zhang and D. Golovin, *Random Hypervolume Scalarizations*, ICML 2020, Def. 3).

A run therefore searches for one part of the Pareto front; runs with different seeds search for
different parts. Of a goal without a declared optimum, z is the number of the first success.

With limits, an evaluation that breaks one is told as the worst value of a feasible evaluation so
far plus the sum of its excesses, each as a share of its bound (after K. Deb, *An efficient
constraint handling method for genetic algorithms*, CMAME 186, 2000, eq. 4). Before the first
feasible evaluation, it is the worst value so far, so that the sum does not look like a value that
is better than all later ones. A failure with a
penalty is told as that penalty beyond the worst value told so far, if there are several goals: a
penalty is above every value of the objective, but the scalarised values are others.
"""

import math
import sys
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from objectives import expected
from objectives.trial import Evaluation, Goal, Limit, Trial, signed
from optimizers.optimizer import Optimizer

METHODS = ("tchebycheff", "hypervolume", "weights")
Vector = NDArray[np.float64]

_RHO = 0.05  # the weight of the sum in the augmented Tchebycheff function
_LARGEST_SHARE = 1e300  # |g| is at most this, so that every scalarised value is finite


class Scalarised(Optimizer):
    """Passes an optimizer's trials on, and tells it one value for all goals and limits.

    Raises:
        ValueError: the method is unknown, or a goal has no reference.
    """

    def __init__(
        self,
        inner: Optimizer,
        *,
        goals: Mapping[str, Goal],
        limits: Mapping[str, Limit],
        method: str,
    ) -> None:
        """Wrap an optimizer.

        Args:
            inner: a fresh optimizer of one value.
            goals: the goals by metric; with fewer than two, the value is passed on.
            limits: the limits by metric.
            method: one of `METHODS`.
        """
        super().__init__(inner.space, seed=inner.seed)
        expected.one_of("scalarise", method, METHODS)
        self._inner = inner
        self.extendable, self.version, self.own = inner.extendable, inner.version, inner.own
        self._goals = dict(goals) if len(goals) > 1 else {}
        self._limits, self._method = dict(limits), method
        missing = [name for name, goal in self._goals.items() if goal.reference is None]
        if missing:
            raise ValueError(
                f"scalarise: expected goals with a declared reference, got {missing[0]} without; "
                f"give one by objective.goals={{{missing[0]}: NUMBER, ...}}"
            )
        sign = np.array([1.0 if goal.minimise else -1.0 for goal in self._goals.values()])
        given = [(goal.reference, goal.optimum) for goal in self._goals.values()]
        known = [[math.nan if x is None else x for x in pair] for pair in given]
        bounds = np.array(known, dtype=float).reshape(-1, 2)
        self._reference: Vector = sign * bounds[:, 0]
        self._best: Vector = sign * bounds[:, 1]
        self.weights = _weights(method, len(self._goals), inner.seed)
        # The worst value of the feasible evaluations, or of all before the first feasible one.
        self._worst: float = -math.inf
        self._any_feasible = False
        self._worst_told = 0.0

    def ask(self, n: int = 1) -> list[Trial]:
        self._inner.folder = self.folder
        return self._inner.ask(n)

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        told = self._told(evaluation)
        if told.error is None and told.value is not None:
            self._worst_told = max(self._worst_told, told.value)
        self._inner.tell(trial, told)

    def refuse(self, trial: Trial) -> None:
        self._inner.refuse(trial)

    def skip(self, id: int) -> None:
        self._inner.skip(id)

    def close(self) -> None:
        self._inner.close()

    def _told(self, evaluation: Evaluation) -> Evaluation:
        """Return the evaluation with the value that the inner optimizer is told."""
        if evaluation.error is not None:
            return self._told_failure(evaluation)
        value = evaluation.value
        if self._goals:
            f = signed(self._goals, evaluation.metrics)
            value = None if f is None else self.scalar(np.array(f))
        if value is None:
            return replace(evaluation, value=None, error="a goal was not measured")
        excess = self._excess(evaluation)
        if excess > 0:
            self._worst = self._worst if self._any_feasible else max(self._worst, value)
            return replace(evaluation, value=self._worst + excess)
        self._worst = max(self._worst, value) if self._any_feasible else value
        self._any_feasible = True
        return replace(evaluation, value=value)

    def _told_failure(self, evaluation: Evaluation) -> Evaluation:
        """Return a failure whose penalty, if any, exceeds the scalarised values so far."""
        if not self._goals or evaluation.value is None:
            return evaluation
        beyond = self._worst_told + max(evaluation.value, 0.0)
        return replace(evaluation, value=min(beyond, sys.float_info.max))

    def _excess(self, evaluation: Evaluation) -> float:
        """Return the sum of the relative excesses; 0 if all limits are kept."""
        total = 0.0
        for name, limit in self._limits.items():
            excess = limit.excess(evaluation.metrics.get(name))
            total += min(max(0.0, excess) / (abs(limit.bound) or 1.0), 1e6)
        return total

    def scalar(self, f: Vector) -> float:
        """Return the scalarised value of signed numbers (m,); less is better."""
        self._best = np.where(np.isnan(self._best), f, self._best)
        width = self._reference - self._best
        width = np.where(width > 0, width, np.maximum(np.abs(self._reference), 1.0))
        with np.errstate(over="ignore"):
            g = np.clip(1 - (self._reference - f) / width, -_LARGEST_SHARE, _LARGEST_SHARE)
        if self._method == "hypervolume":
            return float(-np.min((1 - g) / self.weights))
        weighted = self.weights * g
        if self._method == "weights":
            return float(weighted.sum())
        return float(weighted.max() + _RHO * weighted.sum())


def _weights(method: str, m: int, seed: int) -> Vector:
    """Return the weights (m,), which depend on the seed alone."""
    rng = np.random.default_rng([seed, 0x5CA1])
    if method == "hypervolume":
        direction = np.maximum(np.abs(rng.standard_normal(m)), 1e-6)
        return np.asarray(direction / (np.linalg.norm(direction) or 1.0))
    exponential = rng.exponential(size=m)  # normalised, uniform on the simplex
    return np.asarray(exponential / (exponential.sum() or 1.0))
