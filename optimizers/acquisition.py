"""Acquisition functions of a Gaussian process; f is minimised and the acquisition is maximised.

With mean mu, standard deviation sd, the value `best` to improve on, and u = (best - mu) / sd:

- `log_ei`: log EI = log h(u) + log sd, h(u) = pdf(u) + u cdf(u), without underflow (Ament et al.,
  NeurIPS 2023, eq. 9); d log h / du = cdf(u) / h(u).
- `ei`: expected improvement, sd h(u) (Mockus, 1975; Jones et al., 1998).
- `pi`: probability of improvement, cdf(u) (Kushner, 1964).
- `ucb`: sqrt(beta) sd - mu (Srinivas et al., ICML 2010).
- `mean`: -mu, whose maximum is the minimum of the posterior mean.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

from optimizers.features import Matrix
from optimizers.kernel import Vector
from optimizers.slopes import Slopes

NAMES = ("log_ei", "ei", "ucb", "pi")
_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
_FAR = -1e3  # below this, the leading term of the asymptotic series is exact to six digits


def log_h(u: Vector) -> tuple[Vector, Vector]:
    """Return log(pdf(u) + u cdf(u)) (m,) and its derivative cdf / h (m,)."""
    log_pdf = -0.5 * u * u - _LOG_SQRT_2PI
    value = np.empty_like(u)
    near, far = u > -1, u < _FAR
    value[near] = np.log(np.exp(log_pdf[near]) + u[near] * ndtr(u[near]))
    # cdf(u) = erfcx(-u / sqrt 2) sqrt(pi / 2) pdf(u), so h = pdf (1 - |u| sqrt(pi / 2) erfcx).
    low = np.maximum(u[~near], _FAR)
    ratio = -low * math.sqrt(math.pi / 2) * erfcx(-low / math.sqrt(2))
    value[~near] = log_pdf[~near] + np.log1p(-ratio)
    value[far] = log_pdf[far] - 2 * np.log(-u[far])  # h = pdf (1 / u^2 - 3 / u^4 + ...)
    slope = np.where(far, -u, np.exp(log_ndtr(np.maximum(u, _FAR)) - np.where(far, 0.0, value)))
    return value, slope


class Posterior(Protocol):
    """A model that answers at inputs (m, columns)."""

    def at(self, x: Matrix) -> tuple[Vector, Vector]:
        """Return mean and variance (m,)."""

    def slopes(self, x: Matrix) -> Slopes:
        """Return mean and variance (m,) with their derivatives by the numeric columns."""


@dataclass(frozen=True, slots=True)
class Acquisition:
    """An acquisition function; larger is better.

    Attributes:
        name: one of `NAMES`, or `mean`.
        gp: the model, which includes pending points.
        best: the standardised value to improve on.
        beta: the weight of the variance, for `ucb`.
    """

    name: str
    gp: Posterior
    best: float
    beta: float = 4.0

    def at(self, x: Matrix) -> Vector:
        """Return the acquisition (m,) of inputs (m, columns)."""
        mean, variance = self.gp.at(x)
        return self._worth(mean, np.sqrt(variance))[0]

    def slopes(self, x: Matrix) -> tuple[Vector, Matrix]:
        """Return the acquisition (m,) and its derivatives (m, numeric columns)."""
        at = self.gp.slopes(x)
        sd = np.sqrt(at.variance)
        worth, by_mean, by_sd = self._worth(at.mean, sd)
        d_sd = at.d_variance / (2 * sd[:, None])
        return worth, by_mean[:, None] * at.d_mean + by_sd[:, None] * d_sd

    def _worth(self, mean: Vector, sd: Vector) -> tuple[Vector, Vector, Vector]:
        """Return the acquisition (m,) and its derivatives (m,) with respect to mean and sd."""
        ones = np.ones_like(mean)
        if self.name == "mean":
            return -mean, -ones, 0 * ones
        if self.name == "ucb":
            return math.sqrt(self.beta) * sd - mean, -ones, math.sqrt(self.beta) * ones
        u = (self.best - mean) / sd
        if self.name == "log_ei":
            value, slope = log_h(u)
            return value + np.log(sd), -slope / sd, (1 - slope * u) / sd
        pdf, cdf = np.exp(-0.5 * u * u - _LOG_SQRT_2PI), ndtr(u)
        if self.name == "ei":
            return sd * (pdf + u * cdf), -cdf, pdf
        return cdf, -pdf / sd, -pdf * u / sd
