"""The Gaussian process that `gp_bo` and `bamsoo` share.

Exact GP regression (Rasmussen & Williams, 2006, Alg. 2.1) with the choices that mattered for
Bayesian optimization in few evaluations: Matern-5/2 with one length scale per axis, an output
scale, a constant mean, a noise floor of 1e-6 on standardised outputs.

Notation: x (n, columns) the features of the data, y (n,) their standardised values, K the
kernel matrix with the noise on its diagonal, L its Cholesky factor, m the mean, theta
(axes + 2,) the logarithms of the length scales, the output scale and the noise.

The kernel is evaluated at rounded inputs (Garrido-Merchan & Hernandez-Lobato, 2020): a unit
point is first moved to the configuration that it stands for, so that the posterior is constant
over one integer's share. A categorical axis becomes one column per choice, scaled so that two
different choices are at distance one, with one length scale for all of them.

Priors: length scales LogNormal(sqrt(2) + ln(d)/2, sqrt(3)) (Hvarfner, Hellsten & Nardi, ICML
2024); output scale Gamma(2, 0.15) (BoTorch's before 0.12); noise Gamma(1.1, 30) (Optuna 4,
`_gp/prior.py`).

Departures: the mean is profiled out (it has its generalised least squares value) instead of
being learnt by gradient; the kernel and the priors are GPyTorch's but the algebra is written
out, for GPyTorch's lazy tensors cost three times as much at n = 50. `tests/
test_gaussian_process.py` holds both against BoTorch's `SingleTaskGP`.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import scipy.optimize
import torch
from gpytorch.constraints import Positive
from gpytorch.kernels import MaternKernel, ScaleKernel
from gpytorch.priors import GammaPrior, LogNormalPrior
from gpytorch.settings import lazily_evaluate_kernels
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController
from torch import Tensor

from objectives.space import UnitCube

NOISE_FLOOR = 1e-6
_THREAD_POOLS = ThreadpoolController()
_LOG_BOUNDS = {"length_scale": (-5.0, 7.0), "output_scale": (-6.0, 9.0), "noise": (-13.8, 1.0)}


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch and BLAS on one thread: matrices are small, and a second thread only waits.

    Also SciPy's L-BFGS-B: with two OpenBLAS threads on a loaded machine of two cores one of
    its steps took 9 ms instead of 0.02.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _THREAD_POOLS.limit(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


class GaussianProcess:
    """A GP over a unit cube; learns from natural units and answers in them.

    Deterministic: the same calls give the same answers, in any process.

    Attributes:
        columns: (dim,) for each axis the feature column that equals its coordinate, -1 for an
            axis that has none (categorical, constant).
        theta: (axes + 2,) the logarithms of length scales, output scale and noise.
        m: () the constant mean, in standardised units; set by `fit`.
        x: (n, columns) features of the data.
        standardised: (n,) their values; set by `fit`.
    """

    def __init__(self, cube: UnitCube, *, max_iterations: int = 30) -> None:
        """Make a GP without data.

        Args:
            cube: the space; its snap is the rounding.
            max_iterations: L-BFGS iterations per refit; a refit starts from the last optimum.
        """
        self._cube = cube
        self._max_iterations = max_iterations
        self._rounds = bool(np.isfinite(cube.n_values).any() or cube.space.conditions)
        self.columns, self._axis_of_column = _layout(cube)
        self._n_axes = int(self._axis_of_column.max()) + 1
        self._kernel = _kernel(len(self._axis_of_column))
        self._priors = _priors(self._n_axes)
        self.theta = _default_theta(self._n_axes)
        self._fitted = False
        self.x = torch.zeros((0, len(self._axis_of_column)), dtype=torch.float64)

    def features(self, u: NDArray[np.float64]) -> Tensor:
        """Return the kernel's inputs (m, columns) for the unit points `u` (m, dim)."""
        points = np.asarray(u, dtype=np.float64).reshape(-1, self._cube.dim)
        if self._rounds:
            points = np.array([self._cube.snap(point) for point in points]).reshape(points.shape)
        return self.features_of_snapped(points)

    def features_of_snapped(self, points: NDArray[np.float64]) -> Tensor:
        """Return the kernel's inputs for unit points (m, dim) that `UnitCube.snap` returned."""
        blocks = [np.zeros((len(points), 0))]
        for axis, count in enumerate(self._cube.n_values):
            if self._cube.categorical[axis] and count > 1:
                choice = np.minimum(points[:, axis] * count, count - 1).astype(int)
                blocks.append(np.eye(int(count))[choice] / math.sqrt(2))
            elif count > 1:
                blocks.append(points[:, axis : axis + 1])
        features = np.concatenate(blocks, axis=1)
        if features.shape[1] == 0:
            features = np.zeros((len(points), 1))
        return torch.from_numpy(np.ascontiguousarray(features))

    def fit(self, u: NDArray[np.float64], y: NDArray[np.float64], *, refit: bool) -> None:
        """Condition on data, after learning the hyperparameters from them where `refit`.

        The first fit always learns. Where the optimiser fails the last hyperparameters stay.
        Outputs are standardised anew in each call.

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
            self.x = self.features(u)
            self.standardised = torch.from_numpy(self._standardise(values))
            if (refit or not self._fitted) and len(values) > 1:
                self.theta = self._learn()
                self._fitted = True
            self._condition()

    def _standardise(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values of mean 0 and variance 1 (0 where all are equal)."""
        magnitude = float(np.abs(values).max()) or 1.0  # 1e300 squared overflows
        self.mean = float((values / magnitude).mean()) * magnitude
        deviation = float((values / magnitude - self.mean / magnitude).std()) * magnitude
        self.scale = deviation if deviation > 1e-12 * magnitude else magnitude
        standardised: NDArray[np.float64] = (values - self.mean) / self.scale
        return standardised

    def covariance(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Return the kernel (..., n1, n2) between features (..., n1, c) and (..., n2, c)."""
        with lazily_evaluate_kernels(False):
            dense: Tensor = self._kernel(x1, x2).to_dense()
        return dense

    def _raw(self, theta: Tensor) -> dict[str, Tensor]:
        """Return the kernel's parameters by GPyTorch's names."""
        return {
            "base_kernel.raw_lengthscale": theta[self._axis_of_column][None],
            "raw_outputscale": theta[-2],
        }

    def _factor(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return L (n, n), the mean m (), y - m (n,) and K^-1 (y - m) (n,)."""
        n = len(self.x)
        eye = torch.eye(n, dtype=torch.float64)
        with lazily_evaluate_kernels(False):  # later, the parameters would be the module's own
            kernel = torch.func.functional_call(self._kernel, self._raw(theta), (self.x, self.x))
        matrix = kernel.to_dense() + theta[-1].exp() * eye
        factor, info = torch.linalg.cholesky_ex(matrix)
        jitter = 1e-9
        while int(info) != 0 and jitter < 1.0:
            factor, info = torch.linalg.cholesky_ex(matrix + jitter * theta[-2].exp() * eye)
            jitter *= 10
        targets = torch.stack([self.standardised, torch.ones(n, dtype=torch.float64)], dim=1)
        solved = torch.cholesky_solve(targets, factor)
        # Detached: at its least squares value the likelihood's derivative by m is zero.
        m = (solved[:, 0].sum() / solved[:, 1].sum()).detach()
        return factor, m, self.standardised - m, solved[:, 0] - m * solved[:, 1]

    def _loss(self, theta: Tensor) -> Tensor:
        """Return the negative log of likelihood times prior (R & W eq. 2.30, less constants)."""
        factor, _, residual, weights = self._factor(theta)
        likelihood = -0.5 * residual @ weights - factor.diagonal().log().sum()
        length_scale, output_scale, noise = self._priors
        values = theta.exp()
        prior = (
            length_scale.log_prob(values[:-2]).sum()
            + output_scale.log_prob(values[-2])
            + noise.log_prob(values[-1])
        )
        loss: Tensor = -(likelihood + prior)
        return loss

    def _learn(self) -> Tensor:
        """Return the best theta that L-BFGS finds from the last theta and from the default."""

        def loss_and_gradient(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            theta = torch.from_numpy(point).requires_grad_(True)
            loss = self._loss(theta)
            (gradient,) = torch.autograd.grad(loss, theta)
            if not (torch.isfinite(loss) and torch.isfinite(gradient).all()):
                return 1e100, np.zeros_like(point)
            return float(loss.detach()), gradient.numpy()

        limits = [_LOG_BOUNDS["length_scale"]] * self._n_axes
        limits += [_LOG_BOUNDS["output_scale"], (math.log(NOISE_FLOOR), _LOG_BOUNDS["noise"][1])]
        starts = [self.theta.numpy()]
        if self._fitted:
            starts.append(_default_theta(self._n_axes).numpy())
        first = [loss_and_gradient(start)[0] for start in starts]
        start = starts[int(np.argmin(first))]
        result = scipy.optimize.minimize(
            loss_and_gradient,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=limits,
            options={"maxiter": self._max_iterations},
        )
        if not (np.isfinite(result.x).all() and result.fun <= min(first)):
            return self.theta
        return torch.from_numpy(np.array(result.x, dtype=np.float64))

    @torch.no_grad()
    def _condition(self) -> None:
        self._kernel.load_state_dict(self._raw(self.theta), strict=False)
        self._cholesky, self.m, _, self._weights = self._factor(self.theta)

    def standardised_posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean (m, q) and covariance (m, q, q) at features (m, q, columns).

        Of the latent function, in standardised units; differentiable.
        """
        m, q, _ = x.shape
        cross = self.covariance(x.reshape(m * q, -1), self.x)  # (m q, n)
        mean = self.m + cross @ self._weights
        solved = torch.linalg.solve_triangular(self._cholesky, cross.T, upper=False)
        if q == 1:  # the kernel is stationary
            variance = self.theta[-2].exp() - solved.square().sum(0)
            return mean[:, None], variance[:, None, None]
        rows = solved.T.reshape(m, q, -1)
        return mean.reshape(m, q), self.covariance(x, x) - rows @ rows.mT

    @torch.no_grad()
    def posterior(self, u: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean (m,) and standard deviation (m,) of the latent function at `u` (m, dim).

        In natural units.

        Raises:
            RuntimeError: nothing was fitted yet.
        """
        if len(self.x) == 0:
            raise RuntimeError("gaussian process: expected a fit before a posterior, got none")
        with one_thread():
            mean, covariance = self.standardised_posterior(self.features(u)[:, None, :])
            deviation = covariance[:, 0, 0].clamp_min(0.0).sqrt()
            return (
                (self.mean + self.scale * mean[:, 0]).numpy(),
                (self.scale * deviation).numpy(),
            )


def _layout(cube: UnitCube) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Return the column of each axis (-1: none of its own) and the length scale of each column."""
    columns = np.full(cube.dim, -1)
    scales: list[int] = []
    n_axes = 0
    for axis, count in enumerate(cube.n_values):
        if count == 1:
            continue
        if cube.categorical[axis]:
            scales += [n_axes] * int(count)
        else:
            columns[axis] = len(scales)
            scales.append(n_axes)
        n_axes += 1
    return columns, np.array(scales or [0])  # constants only: one column of zeros


def _kernel(n_columns: int) -> torch.nn.Module:
    """Return GPyTorch's kernel with exp for softplus, so that its raw parameters are theta."""
    positive = Positive(transform=torch.exp, inv_transform=torch.log)
    matern = MaternKernel(2.5, ard_num_dims=n_columns, lengthscale_constraint=positive)
    positive = Positive(transform=torch.exp, inv_transform=torch.log)
    kernel: torch.nn.Module = ScaleKernel(matern, outputscale_constraint=positive).double()
    kernel.requires_grad_(False)
    return kernel


def _priors(n_axes: int) -> tuple[LogNormalPrior, GammaPrior, GammaPrior]:
    """Return those of a length scale, of the output scale and of the noise."""
    length_scale = LogNormalPrior(math.sqrt(2) + math.log(n_axes) / 2, math.sqrt(3))
    return length_scale.double(), GammaPrior(2.0, 0.15).double(), GammaPrior(1.1, 30.0).double()


def _default_theta(n_axes: int) -> Tensor:
    """Return length scales sqrt(d) / 2, output scale 1, noise 1e-4."""
    scales = [math.log(math.sqrt(n_axes) / 2)] * n_axes
    return torch.tensor([*scales, 0.0, math.log(1e-4)], dtype=torch.float64)
