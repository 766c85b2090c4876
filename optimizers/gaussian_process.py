"""The Gaussian process that `gp_bo` and `bamsoo` share, in numpy and scipy.

This is exact GP regression (Rasmussen & Williams, 2006, Alg. 2.1) with choices that matter for
Bayesian optimization with few evaluations. The values are scaled, clipped and warped to z as
described in `optimizers/warp.py`; the warp is selected by the marginal likelihood at each fit of
the hyperparameters. The inputs are the columns of `optimizers/features.py`.

Notation: x (n, columns) are the inputs, z (n,) the targets, K the kernel matrix with the noise on
its diagonal, L its Cholesky factor, m the constant mean, and alpha = K^-1 (z - m). theta (axes +
4,) contains the logarithms of the length scales l, the output scale s, the variances v1 and v2, and
the noise. r^2 = 5 sum (x - x')^2 / l^2. The kernel is the sum of a Matern-5/2 kernel and two kinds
of main effects, d1 linear ones phi1 and d2 quadratic ones phi2:

    k(x, x') = s (1 + r + r^2 / 3) exp(-r) + v1 phi1(x).phi1(x') / d1 + v2 phi2(x).phi2(x') / d2

Priors: length scales LogNormal(sqrt(2) + ln(axes)/2, sqrt(3)) (Hvarfner, Hellsten & Nardi, ICML
2024); output scale Gamma(2, 0.15) (BoTorch before 0.12); v1 and v2 log-normal with median 1/4 and a
standard deviation of 1.5 of the logarithm; noise Gamma(1.1, 30) (Optuna 4), at least 1e-6.

The posterior mean and variance at x are m + k^T alpha and k(x, x) - |L^-1 k|^2 with k = k(x, data)
(Alg. 2.1). The hyperparameters maximise the log marginal likelihood plus the log prior,

    -1/2 (z - m)^T alpha - sum log L_ii - n/2 log 2 pi + log p(theta)

(eq. 2.30; `optimizers/hyperparameters.py`). The mean m has its generalised least squares value.
"""

import math

import numpy as np
from scipy.linalg.lapack import dtrtri

from objectives.space import UnitCube
from optimizers.features import Features
from optimizers.hyperparameters import Hyperparameters, representative
from optimizers.kernel import (
    Inputs,
    Matrix,
    Vector,
    cholesky,
    default,
    matern,
    squared_distances,
    weights,
)
from optimizers.one_thread import one_thread
from optimizers.slopes import Slopes
from optimizers.warp import CAP, OFFSETS, Scale, Warp


class GaussianProcess:
    """A GP over a unit cube; it is fitted in natural units and predicts in standardised ones.

    Deterministic: the same calls give the same answers, in any process.

    Attributes:
        features: the map from unit points to the kernel's inputs.
        theta: (axes + 4,) see the module.
        m: the constant mean; set by `fit`.
        x: (n, columns) the inputs of the data.
        z: (n,) their standardised, warped values; set by `fit`.
    """

    def __init__(
        self,
        cube: UnitCube,
        *,
        warps: tuple[float | None, ...] = OFFSETS,
        cap: float = CAP,
        max_iterations: int = 10,
        features: Features | None = None,
    ) -> None:
        """Create a GP without data.

        Args:
            cube: the space, whose `snap` rounds the inputs.
            warps: the offsets of the candidate warps; the first one is used at the beginning.
            cap: the largest scaled value; see `optimizers/warp.py`.
            max_iterations: L-BFGS-B iterations per fit, which starts from the last optimum.
            features: the map from points to inputs; None uses that of the cube.
        """
        self.features = Features(cube) if features is None else features
        self._cap = cap
        self._effects = (self.features.n_columns, max(len(self.features.numeric), 1))  # d1, d2
        self._learned = Hyperparameters(
            self.features.axis_of, self.features.n_axes, warps, max_iterations
        )
        self.theta = default(self.features.n_axes)
        self.x: Matrix = np.zeros((0, self.features.n_columns))

    def fit(self, u: Matrix, y: Vector, *, refit: bool) -> None:
        """Condition on data, after fitting the hyperparameters to them if `refit`.

        The first call always fits them. If the numerical optimisation fails, the last ones are
        kept. Values are scaled and standardised again in each call.

        Args:
            u: (n, dim) unit points, n >= 1; duplicates are allowed.
            y: (n,) finite values in natural units.
            refit: whether to fit the hyperparameters.

        Raises:
            ValueError: there are no data, shapes do not match, or a value is not finite.
        """
        values = np.asarray(y, dtype=np.float64)
        if values.ndim != 1 or len(values) == 0 or len(values) != len(u):
            raise ValueError(
                f"gaussian process: expected n >= 1 points and as many values, "
                f"got {len(u)} and {values.shape}"
            )
        if not np.isfinite(values).all():
            raise ValueError(f"gaussian process: expected finite values, got {values.tolist()}")
        with one_thread():
            self.x = self.features.of(u)
            self._scale = Scale.of(values)
            t = np.minimum(self._scale.relative(values), self._cap)
            inputs = self._inputs(self.x)
            if self._learned.are_due(len(t), refit):
                places = representative(t)
                some = inputs if len(places) == len(t) else self._inputs(self.x[places])
                self._learned.learn(some, t, places)
            self.theta = self._learned.theta
            self._warp = Warp.of(t, self._learned.offset)
            self.z = self._warp.standardised(t)
            self._t = t
            self._condition(inputs)

    def leave_one_out(self) -> Vector:
        """Return the log density (n,) of each value given the others, in the values' own unit.

        See Rasmussen & Williams, equations 5.10 to 5.12. The hyperparameters and the mean are those
        of all data. Call this before `pend`.
        """
        mean, variance = self.left_out()
        error = self.z - mean
        log_density: Vector = -0.5 * (np.log(2 * math.pi * variance) + error**2 / variance)
        return log_density + self._warp.log_slopes(self._t) - math.log(self._scale.unit)

    def left_out(self) -> tuple[Vector, Vector]:
        """Return mean and variance (n,) of each standardised value given the others.

        They are equation 5.12 of Rasmussen & Williams, and include the noise. Call this before
        `pend`.
        """
        variance = 1 / np.einsum("ij,ij->j", self._inverse_factor, self._inverse_factor)
        return self.z - self._alpha * variance, variance

    @property
    def noise(self) -> float:
        """The variance of the noise of a standardised value."""
        return float(self._noise)

    def joint(self, u: Matrix) -> tuple[Vector, Matrix]:
        """Return the mean (m,) and the covariance (m, m) of the latent function at `u` (m, dim)."""
        x = self.features.of(u)
        kernel, _, linear, quadratic, _ = self._cross(x)
        a = x * self._inverse_lengths
        prior = self._s * matern(squared_distances(a, a))[0]
        prior += self._v1 * (linear @ linear.T) + self._v2 * (quadratic @ quadratic.T)
        half = kernel @ self._inverse_factor.T  # L^-1 k
        return self.m + kernel @ self._padded, prior - half @ half.T

    def natural(self, z: Vector) -> Vector:
        """Map standardised values (m,) to natural units; the map is increasing."""
        return self._scale.natural(self._warp.relative(z))

    def standardised(self, y: Vector) -> Vector:
        """Map natural values (m,) to standardised ones, none of them below the data's least."""
        t = np.clip(self._scale.relative(np.asarray(y, dtype=np.float64)), 0.0, self._cap)
        return self._warp.standardised(t)

    def level(self, y: float) -> float:
        """Return the standardised value of any natural one, also one outside the data.

        Only for a GP whose warp is the identity, which is defined everywhere.
        """
        assert self._learned.offset is None
        return float(self._warp.standardised(self._scale.relative(np.array([y])))[0])

    def _inputs(self, x: Matrix) -> Inputs:
        linear = self.features.linear(x) / math.sqrt(self._effects[0])
        quadratic = self.features.quadratic(x) / math.sqrt(self._effects[1])
        return Inputs(x, linear, quadratic, linear @ linear.T, quadratic @ quadratic.T)

    # ---- the posterior

    def _condition(self, inputs: Inputs) -> None:
        """Factorise the kernel matrix of all data, and compute alpha and m."""
        axes = self.features.n_axes
        self._inverse_lengths = math.sqrt(5) * np.exp(-self.theta[:axes])[self.features.axis_of]
        self._s, self._v1, self._v2, self._noise = np.exp(self.theta[axes:]).tolist()
        factor = self._factor(inputs)
        self._alpha, self.m, _ = weights(factor, self.z)
        self._known = inputs
        self._set_variance(inputs, factor)

    def pend(self, u: Matrix) -> None:
        """Add pending unit points (p, dim) as if their values were the posterior mean.

        The mean does not change and the variance shrinks, until the next call of `fit` or `pend`.
        """
        with one_thread():
            inputs = self._known
            if len(u):
                inputs = self._inputs(np.concatenate([self.x, self.features.of(u)]))
            self._set_variance(inputs, self._factor(inputs))

    def _factor(self, inputs: Inputs) -> Matrix:
        a = inputs.x * self._inverse_lengths
        kernel = self._s * matern(squared_distances(a, a))[0]
        kernel += self._v1 * inputs.gram1 + self._v2 * inputs.gram2
        factor = cholesky(kernel, self._noise, self._s)
        assert factor is not None
        return factor

    def _set_variance(self, inputs: Inputs, factor: Matrix) -> None:
        """Set the inputs of the variance; the mean depends on the data alone."""
        self._all = inputs
        self._a = inputs.x * self._inverse_lengths
        self._inverse_factor, _ = dtrtri(factor, lower=1)
        n_pending = len(inputs.x) - len(self._alpha)
        self._padded = np.concatenate([self._alpha, np.zeros(n_pending)])

    def _cross(self, x: Matrix) -> tuple[Matrix, Matrix, Matrix, Matrix, Vector]:
        """Return k (m, n), (1 + r) exp(-r) (m, n), scaled phi1 and phi2, and k(x, x) (m,)."""
        correlation, slope = matern(squared_distances(x * self._inverse_lengths, self._a))
        linear = self.features.linear(x) / math.sqrt(self._effects[0])
        quadratic = self.features.quadratic(x) / math.sqrt(self._effects[1])
        kernel = self._s * correlation
        kernel += self._v1 * (linear @ self._all.linear.T)
        kernel += self._v2 * (quadratic @ self._all.quadratic.T)
        own = self._v1 * np.einsum("ij,ij->i", linear, linear)
        own += self._v2 * np.einsum("ij,ij->i", quadratic, quadratic) + self._s
        return kernel, slope, linear, quadratic, own

    def at(self, x: Matrix) -> tuple[Vector, Vector]:
        """Return mean and variance (m,) of the latent function at inputs (m, columns)."""
        kernel, _, _, _, own = self._cross(x)
        half = kernel @ self._inverse_factor.T  # L^-1 k
        variance = own - np.einsum("ij,ij->i", half, half)  # k(x, x) - |L^-1 k|^2
        # The mean is m + k^T alpha.
        return self.m + kernel @ self._padded, np.maximum(variance, 1e-12 * self._s)

    def slopes(self, x: Matrix) -> Slopes:
        """Return the posterior at inputs (m, columns) with its derivatives.

        They are d mean = dk^T alpha and d variance = d k(x, x) - 2 dk^T K^-1 k.
        """
        kernel, slope, linear, quadratic, own = self._cross(x)
        half = kernel @ self._inverse_factor.T
        whole = half @ self._inverse_factor  # K^-1 k
        variance = own - np.einsum("ij,ij->i", half, half)
        # dk/dx = -s (1 + r) exp(-r) / 3 (a - a') sqrt(5) / l with a = sqrt(5) x / l.
        a = x * self._inverse_lengths
        slope *= self._s / 3
        by_mean, by_variance = slope * self._padded, slope * whole
        d_mean = self._inverse_lengths * (by_mean @ self._a - by_mean.sum(axis=1)[:, None] * a)
        d_variance = (2 * self._inverse_lengths) * (
            by_variance.sum(axis=1)[:, None] * a - by_variance @ self._a
        )
        scaled = self._v1 * self.features.slope / math.sqrt(self._effects[0])
        d_mean += scaled * (self._padded @ self._all.linear)
        d_variance += 2 * scaled * (linear - whole @ self._all.linear)
        numeric = self.features.numeric
        curved = self._v2 / math.sqrt(self._effects[1]) * self.features.quadratic_slope(x)
        d_mean, d_variance = d_mean[:, numeric], d_variance[:, numeric]
        d_mean += curved * (self._padded @ self._all.quadratic)
        d_variance += 2 * curved * (quadratic - whole @ self._all.quadratic)
        return Slopes(
            self.m + kernel @ self._padded,
            np.maximum(variance, 1e-12 * self._s),
            d_mean,
            d_variance,
        )

    def posterior(self, u: Matrix) -> tuple[Vector, Vector]:
        """Return mean and standard deviation (m,) of the latent function at `u` (m, dim).

        They are in standardised, warped units; `natural` maps quantiles to natural units.

        Raises:
            RuntimeError: `fit` was not called yet.
        """
        if len(self.x) == 0:
            raise RuntimeError("gaussian process: expected a fit before a posterior, got none")
        with one_thread():
            mean, variance = self.at(self.features.of(u))
        return mean, np.sqrt(variance)
