"""RGPE: an ensemble with Gaussian processes of earlier tasks, for `gp_bo` with `transfer=`.

Feurer, Letham, Hutter & Bakshy, "Practical transfer learning for Bayesian optimization", arXiv
1802.02219 (2018).

Notation: D_i are the evaluations of the earlier task i < t, and D_t the n of this run, (x_j, y_j).
f_i is a GP of D_i, whose values are standardised; f_t,-j is the GP of D_t without evaluation j. The
ensemble has weights w (t,) that add up to 1:

    mean(x) = sum_i w_i mean_i(x),    variance(x) = sum_i w_i^2 variance_i(x)

A model is judged by how many pairs of D_t it orders wrongly, because only the order matters for
finding the minimum, and the scales of the tasks differ. For a function f drawn from the posterior

    L(f, D_t)   = sum_j sum_k 1[(f(x_j) < f(x_k)) xor (y_j < y_k)]          of an earlier task
    L(f_t, D_t) = sum_j sum_k 1[(f_t,-j(x_j) < y_k) xor (y_j < y_k)]        of this task

The weight w_i is the probability that L_i is the smallest, estimated from S = 256 draws. The GPs of
earlier tasks are fitted once.

Weight dilution: many bad models would take weight from good ones by chance. Model i is therefore
left out if the median of L_i is at least the 95th percentile of L_t.

Details:
- As in the authors' code (automl/transfer-hpo-framework), models that tie for the smallest loss
  share a draw, and all models have equal weights until three evaluations are told. The draws of
  f_t,-j are independent, and the evaluations stand for f_t,-j at the other points (its mode
  `simplified`).
- The first trial, and every other one until the initial design is used up, follows the earlier
  tasks; the first is the minimum of the ensemble's mean. The points of the design are spread over
  the space. Without them a misleading task may lead into a region of nearly equal values, where
  the order tells the models nothing.
- The acquisition and its alternation with the minimum of the mean are those of `gp_bo`. The value
  to improve on is the best one told where the ensemble is f_t alone, and otherwise the smallest
  mean of the ensemble at the successes.
- A task without a success is ignored. If the first evaluations of the run fail, the earlier tasks
  are followed again only after its first success.
- With more than 100 evaluations, the losses are computed for 100 of them, spread over the ranks.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from objectives.space import UnitCube
from objectives.trial import EarlierTask
from optimizers.gaussian_process import GaussianProcess
from optimizers.kernel import Matrix, Vector
from optimizers.slopes import Slopes
from optimizers.targets import succeeded, targets

_DRAWS = 256  # S
_FEWEST = 3  # evaluations, before which all weights are equal
_MOST = 100  # evaluations that the losses are computed for
_ITERATIONS = 50  # of the fit of an earlier task's hyperparameters, which is made once
_PERCENTILE = 95  # of the losses of this task, in the rule against weight dilution


class Ensemble:
    """Several GPs of the same inputs, weighted; it answers as one GP does.

    Args:
        models: the GPs, already fitted.
        weights: (t,) their weights, which add up to 1.
    """

    def __init__(self, models: Sequence[GaussianProcess], weights: Vector) -> None:
        pairs = zip(models, weights.tolist(), strict=True)
        self.parts = [(model, w) for model, w in pairs if w > 0]

    def at(self, x: Matrix) -> tuple[Vector, Vector]:
        """Return mean and variance (m,) at inputs (m, columns)."""
        answers = [(w, *model.at(x)) for model, w in self.parts]
        mean: Vector = np.sum([w * mean for w, mean, _ in answers], axis=0)
        variance: Vector = np.sum([w**2 * variance for w, _, variance in answers], axis=0)
        return mean, variance

    def slopes(self, x: Matrix) -> Slopes:
        """Return mean and variance (m,) with their derivatives by the numeric columns."""
        answers = [(w, model.slopes(x)) for model, w in self.parts]
        return Slopes(
            mean=np.sum([w * each.mean for w, each in answers], axis=0),
            variance=np.sum([w**2 * each.variance for w, each in answers], axis=0),
            d_mean=np.sum([w * each.d_mean for w, each in answers], axis=0),
            d_variance=np.sum([w**2 * each.d_variance for w, each in answers], axis=0),
        )


def ranking_loss(f: Matrix, y: Vector, others: Matrix | None = None) -> NDArray[np.int_]:
    """Return how many ordered pairs of different evaluations each draw orders wrongly (S,).

    Args:
        f: draws at the n points (S, n).
        y: the values there (n,).
        others: what f(x_j) is compared with at x_k (S, n) or (1, n); None means f itself.
    """
    second = f if others is None else others
    wrong = (f[:, :, None] < second[:, None, :]) != (y[:, None] < y[None, :])
    wrong &= ~np.eye(len(y), dtype=bool)
    counts: NDArray[np.int_] = wrong.sum(axis=(1, 2))
    return counts


def rank_weights(losses: NDArray[np.int_]) -> Vector:
    """Return the weights (t,) that follow from losses (t, S), of which the last are this task's.

    A weight is the share of draws in which the model's loss is the smallest. Models that may dilute
    the weights have none.
    """
    of_draws = losses.astype(float)
    highest = np.percentile(losses[-1], _PERCENTILE)
    diluting = np.median(losses[:-1], axis=1) >= highest
    of_draws[:-1][diluting] = np.inf
    smallest = of_draws == of_draws.min(axis=0)
    shares: Vector = (smallest / smallest.sum(axis=0)).mean(axis=1)
    return shares


class EarlierModels:
    """The GPs of earlier tasks, the GP of this one, and their weights.

    Attributes:
        weights: (t,) the weights; the last one is that of this task.
    """

    def __init__(
        self, tasks: Sequence[EarlierTask], target: GaussianProcess, cube: UnitCube, seed: int
    ) -> None:
        """Take the tasks; their GPs are fitted when they are first needed.

        Args:
            tasks: the earlier tasks, at least one of which has a success; others are ignored.
            target: the GP of this task, which `gp_bo` fits.
            cube: the space.
            seed: of the draws.
        """
        self._tasks = [task for task in tasks if any(map(succeeded, task.evaluations))]
        self._target, self._cube, self._seed = target, cube, seed
        self._earlier: list[GaussianProcess] = []
        self._n_weighed = -1  # number of evaluations that the weights were computed for
        self.weights: Vector = np.append(np.full(len(self._tasks), 1 / len(self._tasks)), 0.0)

    @property
    def models(self) -> list[GaussianProcess]:
        """The GPs of the earlier tasks, and last that of this one."""
        if not self._earlier:
            self._earlier = [self._fitted(task) for task in self._tasks]
        return [*self._earlier, self._target]

    @property
    def ensemble(self) -> Ensemble:
        """The weighted models."""
        return Ensemble(self.models, self.weights)

    def weigh(self, points: Matrix) -> None:
        """Compute the weights after this task's GP was fitted to all evaluations told.

        Args:
            points: (n, dim) the points of the evaluations.
        """
        z, models = self._target.z, self.models
        if len(z) == self._n_weighed:
            return
        self._n_weighed = len(z)
        if len(z) < _FEWEST:
            self.weights = np.full(len(models), 1 / len(models))
            return
        chosen = np.argsort(z, kind="stable")
        if len(z) > _MOST:
            chosen = chosen[np.linspace(0, len(z) - 1, _MOST).astype(int)]
        rng = np.random.default_rng([self._seed, len(z), _DRAWS])
        self.weights = rank_weights(self._losses(z[chosen], points[chosen], chosen, rng))

    def _losses(
        self, y: Vector, points: Matrix, chosen: NDArray[np.intp], rng: np.random.Generator
    ) -> NDArray[np.int_]:
        """Return the losses (t, S) for the chosen evaluations of this task."""
        losses = []
        for model in self._earlier:
            model.pend(points[:0])  # forget what was pending in an earlier ask
            losses.append(ranking_loss(_drawn(*model.joint(points), rng), y))
        mean, variance = self._target.left_out()
        latent = np.maximum(variance - self._target.noise, 0.0)[chosen]
        f = mean[chosen] + np.sqrt(latent) * rng.standard_normal((_DRAWS, len(y)))
        losses.append(ranking_loss(f, y, others=y[None]))
        return np.array(losses)

    def pend(self, points: Matrix) -> None:
        """Add pending points (p, dim) to the models that have a weight."""
        for model, weight in zip(self.models, self.weights, strict=True):
            if weight > 0:
                model.pend(points)

    def reached(self, points: Matrix, noiseless: bool) -> float:
        """Return the value to improve on, in the units of the ensemble.

        Args:
            points: (m, dim) the points of this task's successes.
            noiseless: whether a configuration always has the same value.
        """
        if noiseless and self.weights[-1] == 1:
            return float(self._target.z.min())
        known = points if len(points) else self._points()
        return float(self.ensemble.at(self._target.features.of(known))[0].min())

    def best(self, n: int) -> Matrix:
        """Return the `n` points (n, dim) of the earlier tasks with the smallest ensemble mean."""
        points = self._points()
        mean = self.ensemble.at(self._target.features.of(points))[0]
        return points[np.argsort(mean, kind="stable")[:n]]

    def _points(self) -> Matrix:
        """Return the points (n, dim) of all earlier evaluations."""
        return np.concatenate([self._points_of(task) for task in self._tasks])

    def _points_of(self, task: EarlierTask) -> Matrix:
        return np.array([self._cube.point(config) for config in task.configs])

    def _fitted(self, task: EarlierTask) -> GaussianProcess:
        """Return the GP of an earlier task."""
        features = self._target.features
        gp = GaussianProcess(self._cube, max_iterations=_ITERATIONS, features=features)
        gp.fit(self._points_of(task), targets(task.evaluations), refit=True)
        return gp


def _drawn(mean: Vector, covariance: Matrix, rng: np.random.Generator) -> Matrix:
    """Return draws (S, m) of a Gaussian whose covariance may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    draws: Matrix = mean + rng.standard_normal((_DRAWS, len(mean))) @ root.T
    return draws
