"""The Gaussian process that `gp_bo` and `bamsoo` share, in numpy and scipy.

Exact GP regression (Rasmussen & Williams, 2006, Alg. 2.1) with the choices that mattered for
Bayesian optimization in few evaluations. The values are scaled, cut and warped to z as
`optimizers/warp.py` says; which warp, the marginal likelihood decides at each learning. The
inputs are the columns of `optimizers/features.py`.

Notation: x (n, columns) the inputs, z (n,) the targets, K the kernel matrix with the noise on its
diagonal, L its Cholesky factor, m the constant mean, alpha = K^-1 (z - m), theta (axes + 4,) the
logarithms of the length scales l, of the output scale s, of the variances v1 and v2 and of the
noise; r^2 = 5 sum (x - x')^2 / l^2. The kernel is a Matern-5/2 and the two kinds of main effects,
phi1 linear in the columns and phi2 quadratic, d1 and d2 of them:

    k(x, x') = s (1 + r + r^2 / 3) exp(-r) + v1 phi1(x).phi1(x') / d1 + v2 phi2(x).phi2(x') / d2

Priors: length scales LogNormal(sqrt(2) + ln(axes)/2, sqrt(3)) (Hvarfner, Hellsten & Nardi, ICML
2024); output scale Gamma(2, 0.15) (BoTorch's before 0.12); v1 and v2 log-normal around 1/4 with a
deviation of 1.5; noise Gamma(1.1, 30) (Optuna 4), at least 1e-6.

The mean has its generalised least squares value instead of being learnt by gradient. One learning
is some 10 steps of L-BFGS-B from the last optimum, a step one Cholesky factor, one inverse and one
product of K^-1 - alpha alpha^T with the inputs, from which the gradient of all length scales
follows without the n x n differences of each column.

Beyond `MANY` data the hyperparameters are learned from a subset, the better half of which are the
best values, and only after every twentieth of new data; the posterior always knows all data.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from scipy.linalg.lapack import dtrtri

from objectives.space import UnitCube
from optimizers.features import Features
from optimizers.kernel import (
    Inputs,
    Matrix,
    Vector,
    bounds,
    cholesky,
    default,
    matern,
    negative_log_posterior,
    squared_distances,
    weights,
)
from optimizers.one_thread import one_thread
from optimizers.warp import CAP, OFFSETS, Scale, Warp

MANY = 200  # data; beyond, the hyperparameters are learned from so many of them
_FEW = 10  # data up to which every warp is learned; beyond, the last winner and one rival in turn
_FRESH = 5  # learnings from one that may start from the default to the next


class Slopes(NamedTuple):
    """The posterior at m inputs and its derivatives by the numeric columns.

    Attributes:
        mean, variance: (m,).
        d_mean, d_variance: (m, numeric columns).
    """

    mean: Vector
    variance: Vector
    d_mean: Matrix
    d_variance: Matrix


class GaussianProcess:
    """A GP over a unit cube; learns from natural units and answers in standardised ones.

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
        """Make a GP without data.

        Args:
            cube: the space; its snap is the rounding.
            warps: the offsets of the warps to choose from, the first one first.
            cap: of the scaled values, see `optimizers/warp.py`.
            max_iterations: L-BFGS-B iterations per learning, which starts from the last optimum.
            features: the map from points to inputs; None: that of the cube.
        """
        self.features = Features(cube) if features is None else features
        self._max_iterations = max_iterations
        self._cap = cap
        self._effects = (self.features.n_columns, max(len(self.features.numeric), 1))  # d1, d2
        self._bounds = bounds(self.features.n_axes)
        self._warps = warps
        self._thetas = {offset: default(self.features.n_axes) for offset in warps}
        self._offset = warps[0]
        self._n_learned = 0  # data of the last learning
        self._n_learnings = 0
        self.theta = default(self.features.n_axes)
        self.x: Matrix = np.zeros((0, self.features.n_columns))

    def fit(self, u: Matrix, y: Vector, *, refit: bool) -> None:
        """Condition on data, after learning the hyperparameters from them where `refit`.

        The first fit always learns. Where the optimiser fails the last hyperparameters stay.
        Values are scaled and standardised anew in each call.

        Args:
            u: (n, dim) unit points, n >= 1; duplicates are welcome.
            y: (n,) finite values in natural units.
            refit: whether to learn the hyperparameters.

        Raises:
            ValueError: there is no data, or shapes differ, or a value is not finite.
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
            due = len(t) <= MANY or len(t) >= 1.05 * self._n_learned
            if len(t) > 1 and (self._n_learned == 0 or (refit and due)):
                self._learn(inputs, t)
                self._n_learned = len(t)
            self.theta = self._thetas[self._offset]
            self._warp = Warp.of(t, self._offset)
            self.z = self._warp.standardised(t)
            self._t = t
            self._condition(inputs)

    def leave_one_out(self) -> Vector:
        """Return the log density (n,) of each value given the others, by the values' own unit.

        Rasmussen & Williams, equations 5.10 to 5.12, with the hyperparameters and the mean of all
        data. To be asked before `pend`.
        """
        variance = 1 / np.einsum("ij,ij->j", self._inverse_factor, self._inverse_factor)
        log_density: Vector = -0.5 * (np.log(2 * math.pi * variance) + self._alpha**2 * variance)
        return log_density + self._warp.log_slopes(self._t) - math.log(self._scale.unit)

    def natural(self, z: Vector) -> Vector:
        """Return the values in natural units of standardised ones (m,); increasing."""
        return self._scale.natural(self._warp.relative(z))

    def standardised(self, y: Vector) -> Vector:
        """Return the standardised values of natural ones (m,), none below the data's least."""
        t = np.clip(self._scale.relative(np.asarray(y, dtype=np.float64)), 0.0, self._cap)
        return self._warp.standardised(t)

    def _inputs(self, x: Matrix) -> Inputs:
        linear = self.features.linear(x) / math.sqrt(self._effects[0])
        quadratic = self.features.quadratic(x) / math.sqrt(self._effects[1])
        return Inputs(x, linear, quadratic, linear @ linear.T, quadratic @ quadratic.T)

    # ---- learning

    def _learn(self, inputs: Inputs, t: Vector) -> None:
        """Choose the warp, and the hyperparameters of those warps that are tried."""
        tried = list(self._warps)
        if self._n_learned > _FEW and len(tried) > 2:
            rivals = [offset for offset in tried if offset != self._offset]
            tried = [self._offset, rivals[self._n_learnings % len(rivals)]]
        chosen = _subset(t)
        if len(chosen) < len(t):
            inputs = self._inputs(inputs.x[chosen])
        losses: dict[float | None, float] = {}
        for offset in tried:
            warp = Warp.of(t, offset)
            z = warp.standardised(t[chosen])
            theta, loss = self._best_theta(self._thetas[offset], inputs, z)
            self._thetas[offset] = theta
            losses[offset] = loss - warp.log_jacobian(t[chosen])
        self._offset = min(losses, key=lambda offset: losses[offset])
        self._n_learnings += 1

    def _best_theta(self, last: Vector, inputs: Inputs, z: Vector) -> tuple[Vector, float]:
        """Return the theta that L-BFGS-B finds from the last or the default, and its loss."""

        def of(theta: Vector) -> tuple[float, Vector]:
            return negative_log_posterior(theta, inputs, z, self.features.axis_of)

        fresh = self._n_learnings % _FRESH == 0
        starts = [last, default(self.features.n_axes)] if fresh else [last]
        first = [of(start) for start in starts]
        best = min(range(len(starts)), key=lambda place: first[place][0])
        known = [first[best]]  # L-BFGS-B begins with the loss at its start

        def loss(theta: Vector) -> tuple[float, Vector]:
            return known.pop() if known else of(theta)

        result = scipy.optimize.minimize(
            loss,
            starts[best],
            jac=True,
            method="L-BFGS-B",
            bounds=self._bounds,
            options={"maxiter": self._max_iterations, "ftol": 1e-4},
        )
        theta: Vector = np.array(result.x, dtype=np.float64)
        if np.isfinite(theta).all() and result.fun <= first[best][0]:
            return theta, float(result.fun)
        return last, first[0][0]

    # ---- the posterior

    def _condition(self, inputs: Inputs) -> None:
        """Factor the kernel matrix of all data."""
        axes = self.features.n_axes
        self._inverse_lengths = math.sqrt(5) * np.exp(-self.theta[:axes])[self.features.axis_of]
        self._s, self._v1, self._v2, self._noise = np.exp(self.theta[axes:]).tolist()
        factor = self._factor(inputs)
        self._alpha, self.m, _ = weights(factor, self.z)
        self._known = inputs
        self._set_variance(inputs, factor)

    def pend(self, u: Matrix) -> None:
        """Take in unit points (p, dim) as if their values were the posterior mean.

        The mean stays as it is, the variance shrinks; holds until the next `fit` or `pend`.
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
        """Keep what the posterior needs: the mean rests on the data, the variance on all inputs."""
        self._all = inputs
        self._a = inputs.x * self._inverse_lengths
        self._inverse_factor, _ = dtrtri(factor, lower=1)
        n_pending = len(inputs.x) - len(self._alpha)
        self._padded = np.concatenate([self._alpha, np.zeros(n_pending)])

    def _cross(self, x: Matrix) -> tuple[Matrix, Matrix, Matrix, Matrix, Vector]:
        """Return k (m, n), the Matern's slope (m, n), phi1, phi2 and k(x, x) (m,)."""
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
        variance = own - np.einsum("ij,ij->i", half, half)
        return self.m + kernel @ self._padded, np.maximum(variance, 1e-12 * self._s)

    def slopes(self, x: Matrix) -> Slopes:
        """Return the posterior at inputs (m, columns) with its derivatives."""
        kernel, slope, linear, quadratic, own = self._cross(x)
        half = kernel @ self._inverse_factor.T
        whole = half @ self._inverse_factor  # K^-1 k
        variance = own - np.einsum("ij,ij->i", half, half)
        # dk/dx = -s (1 + r) exp(-r) / 3 (a - a') inverse length.
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

        In standardised, warped units: `natural` maps a quantile back.

        Raises:
            RuntimeError: nothing was fitted yet.
        """
        if len(self.x) == 0:
            raise RuntimeError("gaussian process: expected a fit before a posterior, got none")
        with one_thread():
            mean, variance = self.at(self.features.of(u))
        return mean, np.sqrt(variance)


def _subset(t: Vector) -> NDArray[np.intp]:
    """Return at most `MANY` places of t (n,): half of them the best, the others spread in rank."""
    order = np.argsort(t, kind="stable")
    if len(t) <= MANY:
        return np.arange(len(t))
    half = MANY // 2
    others = np.linspace(half, len(t) - 1, MANY - half).astype(int)
    return np.sort(np.concatenate([order[:half], order[others]]))
