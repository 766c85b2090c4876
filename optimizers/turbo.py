"""TuRBO-1: Bayesian optimization in one trust region.

D. Eriksson, M. Pearce, J. Gardner, R. D. Turner and M. Poloczek, *Scalable Global Optimization via
Local Bayesian Optimization*, NeurIPS 2019, with m = 1 trust region and a model by BoTorch, as in
BoTorch's tutorial.

Notation of the paper (sec. 2 and supplement):
    L                 side length of the trust region before it is stretched (`length`),
                      which starts at L_init = 0.8
    L_min, L_max 2^-7 and 1.6; a region smaller than L_min ends, and a new one begins tau_succ 3;
    after as many successes in a row, L is doubled tau_fail max(4, d); after as many failures in a
    row, L is halved lambda_i, L_i length scale of the model, and L_i = lambda_i L / (prod
    lambda_j)^(1/d), so
                      that the volume is L^d

A success improves the region's best value by more than 1e-3 of its magnitude, as in the code of the
authors, from which min(100 d, 5000) candidates and the probability min(20 / d, 1) of perturbing a
coordinate are also taken. A step maximises one Thompson sample of the model over the candidates.

Departures:
- Trials are asked one by one, so tau_fail is that of a batch of one, and pending trials are not
waited for. Thompson samples diversify parallel trials.
- A trial that was asked in an earlier region counts for the current region when it is told.
- Designs, failures, rounding and known configurations are as in `optimizers/botorch_gp.py`. A
failed trial is not a success.
"""

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.generation import MaxPosteriorSampling
from botorch.models import SingleTaskGP
from ConfigSpace import ConfigurationSpace
from gpytorch.constraints import Interval
from gpytorch.kernels import MaternKernel, ScaleKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray
from scipy.stats import qmc

from objectives.trial import Evaluation, Trial
from optimizers.botorch_gp import BoTorchGP
from optimizers.one_thread import one_thread

L_INIT, L_MIN, L_MAX = 0.8, 0.5**7, 1.6
TAU_SUCC = 3
_IMPROVEMENT = 1e-3  # a success improves by more than this share of the best value's magnitude


@dataclass
class TrustRegion:
    """The size of the trust region, and the counters that change it."""

    tau_fail: int
    length: float = L_INIT
    best: float = math.inf
    n_successes: int = 0
    n_failures: int = 0

    def update(self, value: float | None) -> None:
        """Count one evaluation; None stands for a failed one."""
        success = value is not None and value < self._bar()
        if value is not None:
            self.best = min(self.best, value)
        self.n_successes = self.n_successes + 1 if success else 0
        self.n_failures = 0 if success else self.n_failures + 1
        if self.n_successes == TAU_SUCC:
            self.length, self.n_successes = min(2 * self.length, L_MAX), 0
        elif self.n_failures == self.tau_fail:
            self.length, self.n_failures = self.length / 2, 0

    @property
    def is_over(self) -> bool:
        """Whether the region is too small to continue."""
        return self.length < L_MIN

    def _bar(self) -> float:
        if not math.isfinite(self.best):
            return math.inf
        return self.best - _IMPROVEMENT * abs(self.best)


def _sobol(dim: int, n: int, seed: int) -> NDArray[np.float64]:
    """Return `n` points (n, dim) of a scrambled Sobol sequence."""
    with warnings.catch_warnings():  # n need not be a power of two
        warnings.simplefilter("ignore", UserWarning)
        points: NDArray[np.float64] = qmc.Sobol(dim, scramble=True, rng=seed).random(n)
    return points


class Turbo(BoTorchGP):
    """Asks a Sobol design for each trust region, then Thompson samples inside it.

    Args:
        n_initial: number of points of each region's design.

    Raises:
        ValueError: the setting is out of its range.
    """

    name = "turbo"

    def __init__(self, space: ConfigurationSpace, *, seed: int, n_initial: int) -> None:
        super().__init__(space, seed=seed, n_initial=n_initial, num_restarts=1, raw_samples=1)
        self._restart()

    def _restart(self) -> None:
        """Begin a new region, which ignores earlier evaluations."""
        self._region = TrustRegion(max(4, self._cube.dim))
        self._first = len(self._values)  # index of the first evaluation that counts for this region
        self._design_end = self._n_trials + self._n_initial
        self._model = None

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        super().tell(trial, evaluation)
        own = len(self._values) - self._first
        succeeded = evaluation.error is None and evaluation.value is not None
        value = evaluation.value if succeeded else None
        if own <= self._n_initial:  # the design sets the best value and is not a step
            if value is not None:
                self._region.best = min(self._region.best, value)
            return
        self._region.update(value)
        if self._region.is_over:
            self._restart()

    def _in_design(self) -> bool:
        own = self._values[self._first :]
        return self._n_trials < self._design_end or sum(v is not None for v in own) < 2

    def _proposal(self) -> NDArray[np.float64]:
        """Return the candidate (dim,) that maximises a Thompson sample in the trust region."""
        seed = int(np.random.default_rng([self.seed, self._n_trials]).integers(2**31))
        points, objective = self._data(self._first)
        with one_thread(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a fit that is repeated
            torch.manual_seed(seed)
            if self._model is None:
                self._model = self._build(points, objective)
                fit_gpytorch_mll(ExactMarginalLogLikelihood(self._model.likelihood, self._model))
            candidates = self._candidates(points[objective.argmax()], self._model, seed)
            with torch.no_grad():
                sampling = MaxPosteriorSampling(model=self._model, replacement=False)
                (best,) = sampling(candidates, num_samples=1)
        point: NDArray[np.float64] = best.numpy()
        return np.clip(point, 0.0, 1.0)

    def _build(self, points: torch.Tensor, objective: torch.Tensor) -> SingleTaskGP:
        """Return the tutorial's model, with the bounds of the authors' hyperparameters."""
        matern = MaternKernel(
            nu=2.5, ard_num_dims=points.shape[-1], lengthscale_constraint=Interval(0.005, 4.0)
        )
        likelihood = GaussianLikelihood(noise_constraint=Interval(1e-8, 1e-3))
        return SingleTaskGP(
            points, objective, covar_module=ScaleKernel(matern), likelihood=likelihood
        )

    def _candidates(self, centre: torch.Tensor, model: SingleTaskGP, seed: int) -> torch.Tensor:
        """Return min(100 d, 5000) points of the trust region around `centre` (dim,)."""
        dim = len(centre)
        scales = model.covar_module.base_kernel.lengthscale.detach().reshape(-1)  # lambda
        weights = scales / scales.log().mean().exp()  # L_i / L
        half = weights * self._region.length / 2
        low, high = (centre - half).clamp(0.0, 1.0), (centre + half).clamp(0.0, 1.0)
        n = min(100 * dim, 5000)
        moved = low + (high - low) * torch.from_numpy(_sobol(dim, n, seed))
        mask = torch.rand(n, dim, dtype=centre.dtype) <= min(20 / dim, 1.0)
        still = (~mask.any(dim=1)).nonzero()[:, 0]
        mask[still, torch.randint(dim, (len(still),))] = True  # each candidate moves
        return torch.where(mask, moved, centre)
