"""The Gaussian process of `mf_gp`: that of `gp_bo` with the fidelity as an additional input.

Kandasamy, Dasarathy, Schneider & Poczos, "Multi-fidelity Bayesian optimisation with continuous
approximations" (BOCA), ICML 2017: f(z, x) is one function of the configuration x and the fidelity
z, and its kernel is the product of a kernel of x and one of z. Here the product is the Matern-5/2
with a length scale of its own for z; the linear and the quadratic main effect of z describe how
values shift from one fidelity to the next. With a short length scale of z, a low fidelity is
uninformative about a full evaluation.

The input is not the share f itself but

    z = 1 - log f / log f_least,

so that successive powers of a fidelity ratio are equally spaced: z = 0 at the lowest fidelity, and
z = 1 at f = 1.
"""

import math

import numpy as np

from objectives.space import UnitCube
from optimizers.features import Features
from optimizers.gaussian_process import GaussianProcess
from optimizers.kernel import Matrix, Vector, matern
from optimizers.one_thread import one_thread
from optimizers.slopes import Slopes

FULL = 1.0  # z of a full evaluation


class FidelityFeatures(Features):
    """The columns of unit points followed by z, shape (n, dim + 1)."""

    def __init__(self, cube: UnitCube) -> None:
        super().__init__(cube)
        self._dim = cube.dim
        self.axis_of = np.append(self.axis_of, self.n_axes)
        self.numeric = np.append(self.numeric, self.n_columns - 1)
        self.n_axes += 1
        self._middle = np.append(self._middle, 0.5)
        self.slope = np.append(self.slope, 2 * math.sqrt(3))

    def of(self, u: Matrix) -> Matrix:
        rows = np.asarray(u, dtype=np.float64).reshape(-1, self._dim + 1)
        points = rows[:, :-1]
        if self._rounds:
            points = np.array([self._cube.snap(point) for point in points]).reshape(points.shape)
        return self.of_snapped(np.column_stack([points, rows[:, -1]]))

    def of_snapped(self, points: Matrix) -> Matrix:
        return np.column_stack([super().of_snapped(points[:, :-1]), points[:, -1]])


class FidelityProcess(GaussianProcess):
    """A GP over unit points and fidelities; its inputs are (x, z), shape (n, columns + 1)."""

    def __init__(self, cube: UnitCube) -> None:
        super().__init__(cube, features=FidelityFeatures(cube))

    def explained(self, x: Matrix, z: Vector) -> Vector:
        """Return the share (m,) of a full evaluation's variance that one at fidelity z explains.

        It is the squared posterior correlation of the noisy f(x, z) and f(x, 1), between 0 and 1.

        Args:
            x: the columns of configurations, shape (m, columns).
            z: the fidelities as z, shape (m,).
        """
        low, full = np.column_stack([x, z]), np.column_stack([x, np.full(len(x), FULL)])
        k_low, _, linear, quadratic, own_low = self._cross(low)
        k_full, _, linear_full, quadratic_full, own_full = self._cross(full)
        half_low, half_full = (k @ self._inverse_factor.T for k in (k_low, k_full))
        away = ((low - full) * self._inverse_lengths) ** 2
        prior = self._s * matern(away.sum(axis=1))[0]
        prior += self._v1 * np.einsum("ij,ij->i", linear, linear_full)
        prior += self._v2 * np.einsum("ij,ij->i", quadratic, quadratic_full)
        floor = 1e-12 * self._s
        covariance = prior - np.einsum("ij,ij->i", half_low, half_full)
        var_low = np.maximum(own_low - np.einsum("ij,ij->i", half_low, half_low), floor)
        var_full = np.maximum(own_full - np.einsum("ij,ij->i", half_full, half_full), floor)
        share: Vector = covariance**2 / ((var_low + self._noise) * var_full)
        return np.clip(share, 0.0, 1.0)


class AtFullFidelity:
    """The posterior of full evaluations, as a function of only the configuration."""

    def __init__(self, gp: FidelityProcess) -> None:
        self._gp = gp

    def at(self, x: Matrix) -> tuple[Vector, Vector]:
        """Return mean and variance (m,) at the columns of configurations (m, columns)."""
        with one_thread():
            return self._gp.at(self._full(x))

    def slopes(self, x: Matrix) -> Slopes:
        """Return the posterior with its derivatives with respect to the numeric columns."""
        with one_thread():
            mean, variance, d_mean, d_variance = self._gp.slopes(self._full(x))
        return Slopes(mean, variance, d_mean[:, :-1], d_variance[:, :-1])

    def _full(self, x: Matrix) -> Matrix:
        return np.column_stack([x, np.full(len(x), FULL)])
