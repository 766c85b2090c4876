"""RGPE: Bayesian optimization with an ensemble of Gaussian processes of earlier tasks.

Feurer, Letham, Hutter & Bakshy, "Practical transfer learning for Bayesian optimization", arXiv
1802.02219 (2018), on the model and the acquisition of `gp_bo`. Without earlier tasks the two ask
for the same trials.

Notation: D_i are the evaluations of the earlier task i < t, and D_t the n of this run, (x_j, y_j).
f_i is a GP of D_i, whose values are standardised; f_t,-j is the GP of D_t without evaluation j. The
ensemble has weights w (t,) that add up to 1:

    mean(x) = sum_i w_i mean_i(x),    variance(x) = sum_i w_i^2 variance_i(x)

A model is judged by how many pairs of D_t it orders wrongly, because only the order matters for
finding the minimum, and the tasks' scales differ. For a function f drawn from the posterior

    L(f, D_t)   = sum_j sum_k 1[(f(x_j) < f(x_k)) xor (y_j < y_k)]          of an earlier task
    L(f_t, D_t) = sum_j sum_k 1[(f_t,-j(x_j) < y_k) xor (y_j < y_k)]        of this task

The weight w_i is the probability that L_i is the smallest, estimated from `samples` draws. The GPs
of earlier tasks are never fitted again, so an ask costs little more than one of `gp_bo`.

Weight dilution: many bad models would take weight from good ones by chance. Model i is therefore
left out if the median of L_i is at least the 95th percentile of L_t.

Details:
- As in the authors' code (automl/transfer-hpo-framework), models that tie for the smallest loss
  share a draw, and all models have equal weights until three evaluations are told. The draws
  of f_t,-j are independent, and the evaluations stand for f_t,-j at the other points (its mode
  `simplified`).
- The earlier tasks take the place of the initial design. The first trial is the minimum of the
  ensemble's mean.
- The acquisition and its alternation with the minimum of the mean are those of `gp_bo`. The value
  to improve on is the best one told where the ensemble is f_t alone, and otherwise the smallest
  mean of the ensemble at the told points.
- A task without a success is ignored. Until the first success of the run, no more than the design's
  number of points follows the earlier tasks; then the design fills the space, as in `gp_bo`.
- With more than 100 evaluations, the losses are computed for 100 of them, spread over the ranks.
"""

from collections.abc import Sequence

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from objectives.trial import EarlierTask
from optimizers.acquisition import Acquisition
from optimizers.gaussian_process import GaussianProcess, Slopes
from optimizers.gp_bo import N_CENTRES, GaussianProcessOptimizer
from optimizers.kernel import Matrix, Vector
from optimizers.targets import succeeded, targets

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


class RankingWeightedEnsemble(GaussianProcessOptimizer):
    """Asks for the greatest acquisition under an ensemble with GPs of earlier tasks.

    Args:
        samples: the number of draws from which the weights are estimated.
        transfer: the earlier tasks.
        n_initial, acquisition, beta, noiseless, exploit_every, candidates, starts: see `gp_bo`.

    Attributes:
        weights: (t,) the last weights; the last one is this task's. Empty before the first model.

    Raises:
        ValueError: a setting is out of its range.
    """

    version: int = 100 * GaussianProcessOptimizer.version + 1

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        n_initial: int,
        acquisition: str,
        beta: float,
        noiseless: bool,
        exploit_every: int,
        candidates: int,
        starts: int,
        samples: int,
        transfer: Sequence[EarlierTask] = (),
    ) -> None:
        super().__init__(
            space,
            seed=seed,
            n_initial=n_initial,
            acquisition=acquisition,
            beta=beta,
            noiseless=noiseless,
            exploit_every=exploit_every,
            candidates=candidates,
            starts=starts,
        )
        if isinstance(samples, bool) or not isinstance(samples, int) or not 0 < samples <= 100_000:
            raise ValueError(
                f"rgpe.samples: expected an integer of at least 1 and at most 100000, got "
                f"{samples!r}"
            )
        self._samples, self._n_initial = samples, n_initial
        self._tasks = [task for task in transfer if any(map(succeeded, task.evaluations))]
        if self._tasks:
            self._design = []
        self._earlier: list[GaussianProcess] = []
        self._n_weighed = -1  # evaluations that the weights were computed for
        self.weights: Vector = np.zeros(0)

    def _has_model(self) -> bool:
        early = bool(self._tasks) and len(self._told) < self._n_initial
        return early or super()._has_model()

    @property
    def _models(self) -> list[GaussianProcess]:
        """The GPs of the earlier tasks, and that of this one."""
        return [*self._earlier, self._gp]

    def _fit(self) -> Vector:
        if not self._earlier:
            self._earlier = [self._fitted(task) for task in self._tasks]
        n, success = len(self._told), self._any_success()
        t = super()._fit() if success else np.zeros(n)
        if n != self._n_weighed:
            self.weights = self._weights() if success else self._equal(alone=True)
            self._n_weighed = n
        return t

    def _fitted(self, task: EarlierTask) -> GaussianProcess:
        """Return the GP of an earlier task."""
        features = self._gp.features
        gp = GaussianProcess(self._cube, max_iterations=_ITERATIONS, features=features)
        points = np.array([self._cube.point(config) for config in task.configs])
        gp.fit(points, targets(task.evaluations), refit=True)
        return gp

    def _equal(self, alone: bool = False) -> Vector:
        """Return equal weights; `alone` leaves out this task."""
        n = len(self._earlier)
        return np.append(np.full(n, 1 / n), 0.0) if alone else np.full(n + 1, 1 / (n + 1))

    def _weights(self) -> Vector:
        """Return the weights (t,) given all told evaluations."""
        z = self._gp.z
        if not self._earlier or len(z) < _FEWEST:
            return self._equal()
        chosen = np.argsort(z, kind="stable")
        if len(z) > _MOST:
            chosen = chosen[np.linspace(0, len(z) - 1, _MOST).astype(int)]
        y, points = z[chosen], np.array(self._points)[chosen]
        rng = np.random.default_rng([self.seed, len(z), self._samples])
        losses = []
        for model in self._earlier:
            model.pend(points[:0])  # what was pending in an earlier ask
            losses.append(ranking_loss(_drawn(*model.joint(points), self._samples, rng), y))
        mean, variance = self._gp.left_out()
        latent = np.maximum(variance - self._gp.noise, 0.0)[chosen]
        f = mean[chosen] + np.sqrt(latent) * rng.standard_normal((self._samples, len(y)))
        losses.append(ranking_loss(f, y, others=y[None]))
        return rank_weights(np.array(losses))

    def _pend(self, points: Matrix) -> None:
        for model, weight in zip(self._models, self.weights, strict=True):
            if weight > 0:
                model.pend(points)

    def _worth(self, name: str | None = None) -> Acquisition:
        if not self._earlier:
            return super()._worth(name)
        ensemble = Ensemble(self._models, self.weights)
        best = float(self._reached(ensemble).min())
        return Acquisition(name or self._acquisition, ensemble, best, self._beta)

    def _reached(self, ensemble: Ensemble) -> Vector:
        """Return what is known of the best values (m,), in the units of the ensemble."""
        if self._noiseless and self.weights[-1] == 1:
            return self._gp.z
        points = [p for p, e in zip(self._points, self._told, strict=True) if succeeded(e)]
        if not points:
            return np.concatenate([ensemble.at(model.x)[0] for model in self._earlier])
        return ensemble.at(self._gp.features.of(np.array(points)))[0]

    def _centres(self, t: Vector) -> Matrix:
        if self._any_success():
            return super()._centres(t)
        configs = [config for task in self._tasks for config in task.configs]
        points = np.array([self._cube.point(config) for config in configs])
        mean = Ensemble(self._models, self.weights).at(self._gp.features.of(points))[0]
        return points[np.argsort(mean, kind="stable")[:N_CENTRES]]


def _drawn(mean: Vector, covariance: Matrix, n: int, rng: np.random.Generator) -> Matrix:
    """Return `n` draws (n, m) of a Gaussian whose covariance may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    draws: Matrix = mean + rng.standard_normal((n, len(mean))) @ root.T
    return draws
