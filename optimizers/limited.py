"""An acquisition function times the probability that the limits are satisfied.

For each limit, a Gaussian process models its excess c, which is at most 0 if the limit is
satisfied. With mean mu, deviation s and the standardised value b of an excess of 0, at a point

    P(kept) = cdf(v),  v = (b - mu) / s,

independently of the other limits. The utility is the acquisition times the product of these
probabilities (M. Schonlau, W. J. Welch and D. R. Jones, *Global versus local search in constrained
optimization of computer models*, 1998, sec. 4), in logarithms. While no evaluation satisfies the
limits, there is no incumbent, and the utility is only the product (J. R. Gardner et al., *Bayesian
Optimization with Inequality Constraints*, ICML 2014, sec. 3.3).

Departure: `ucb` and `mean` may be negative, so the logarithm of the product is added to them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from objectives.space import UnitCube
from objectives.trial import Evaluation, Limit
from optimizers.acquisition import _LOG_SQRT_2PI, Acquisition
from optimizers.features import Matrix
from optimizers.gaussian_process import GaussianProcess
from optimizers.goal_targets import excesses, feasible
from optimizers.kernel import Vector

_LOGARITHMIC = {"ei": "log_ei"}  # the acquisitions whose logarithm has its own name
_TINY = 1e-300

Models = Sequence[tuple[GaussianProcess, float]]
"""The model of each limit's excess, and the standardised value of an excess of 0."""


class LimitModels:
    """The models of the limits' excesses, fitted to all told evaluations."""

    def __init__(self, cube: UnitCube, limits: Mapping[str, Limit]) -> None:
        self._limits = dict(limits)
        self._gps = [GaussianProcess(cube, warps=(None,)) for _ in limits]

    def __bool__(self) -> bool:
        return bool(self._gps)

    def fit(self, points: Matrix, evaluations: Sequence[Evaluation]) -> None:
        """Fit each model to the excesses of evaluations at unit points (n, dim)."""
        for gp, column in zip(self._gps, excesses(evaluations, self._limits).T, strict=True):
            gp.fit(points, column, refit=True)

    def pend(self, points: Matrix) -> None:
        """Add pending unit points (p, dim) to the models."""
        for gp in self._gps:
            gp.pend(points)

    def feasible(self, evaluations: Sequence[Evaluation]) -> np.ndarray:
        """Return which evaluations (n,) succeeded and satisfy all limits."""
        return feasible(evaluations, self._limits)

    @property
    def models(self) -> list[tuple[GaussianProcess, float]]:
        """The fitted models."""
        return [(gp, gp.level(0.0)) for gp in self._gps]


@dataclass(frozen=True, slots=True)
class Limited(Acquisition):
    """An acquisition function with limits; larger is better.

    Attributes:
        models: the models of the limits.
        alone: whether the utility is only the probability that the limits are satisfied.
    """

    models: Models = ()
    alone: bool = False

    def at(self, x: Matrix) -> Vector:
        total = np.zeros(len(x)) if self.alone else self._logarithm(x)
        for gp, bound in self.models:
            mean, variance = gp.at(x)
            total = total + log_ndtr((bound - mean) / np.sqrt(variance))
        return np.asarray(total)

    def slopes(self, x: Matrix) -> tuple[Vector, Matrix]:
        total, slope = self._logarithm_with_slopes(x)
        for gp, bound in self.models:
            at = gp.slopes(x)
            sd = np.sqrt(at.variance)
            v = (bound - at.mean) / sd
            log_cdf = log_ndtr(v)
            hazard = np.exp(-0.5 * v * v - _LOG_SQRT_2PI - log_cdf)  # d log cdf / dv
            d_sd = at.d_variance / (2 * sd[:, None])
            d_v = -(at.d_mean + v[:, None] * d_sd) / sd[:, None]
            total, slope = total + log_cdf, slope + hazard[:, None] * d_v
        return total, slope

    def _inner(self) -> Acquisition:
        name = _LOGARITHMIC.get(self.name, self.name)
        return Acquisition(name, self.gp, self.best, self.beta)

    def _logarithm(self, x: Matrix) -> Vector:
        worth = self._inner().at(x)
        return np.log(np.maximum(worth, _TINY)) if self.name == "pi" else worth

    def _logarithm_with_slopes(self, x: Matrix) -> tuple[Vector, Matrix]:
        worth, slope = self._inner().slopes(x)
        if self.alone:
            return np.zeros_like(worth), np.zeros_like(slope)
        if self.name == "pi":
            positive = np.maximum(worth, _TINY)
            return np.log(positive), slope / positive[:, None]
        return worth, slope
