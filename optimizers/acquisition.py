"""Acquisition functions of a Gaussian process: BoTorch's, over feature rows of one candidate each.

`log_ei` LogEI and qLogEI (Ament et al., NeurIPS 2023); `ei` expected improvement (Mockus,
1975; Jones et al., 1998); `pi` probability of improvement (Kushner, 1964); `ucb` mean plus
sqrt(beta) deviations (Srinivas et al., 2010). Without pending points the closed form, with
them the Monte Carlo form of the joint of candidate and pending points (Wilson et al., 2018).

BoTorch maximises: the model below is the negative of the standardised objective.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from botorch.acquisition import (
    ExpectedImprovement,
    LogExpectedImprovement,
    ProbabilityOfImprovement,
    UpperConfidenceBound,
    qExpectedImprovement,
    qLogExpectedImprovement,
    qProbabilityOfImprovement,
    qUpperConfidenceBound,
)
from botorch.exceptions.warnings import NumericsWarning
from botorch.posteriors import GPyTorchPosterior
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.distributions import MultivariateNormal
from torch import Tensor

from optimizers.gaussian_process import GaussianProcess

NAMES = ("log_ei", "ei", "ucb", "pi")
N_SAMPLES = 128

Acquisition = Callable[[Tensor], Tensor]
"""From features (m, columns) to what each of them is worth (m,); larger is better."""


class NegatedModel(torch.nn.Module):
    """What BoTorch's acquisition functions need of a model: the posterior of -f, standardised."""

    num_outputs = 1
    batch_shape = torch.Size([])

    def __init__(self, gp: GaussianProcess) -> None:
        super().__init__()
        self._gp = gp

    def posterior(self, X: Tensor, **_: Any) -> GPyTorchPosterior:
        """Return the joint posterior at features X (..., q, columns)."""
        mean, covariance = self._gp.standardised_posterior(X)
        if X.shape[-2] == 1:
            covariance = covariance.clamp_min(1e-20)
        else:  # a candidate next to a pending point makes the matrix singular
            covariance = covariance + 1e-8 * torch.eye(X.shape[-2], dtype=X.dtype)
        return GPyTorchPosterior(MultivariateNormal(-mean, covariance))


def best_value(gp: GaussianProcess, noiseless: bool) -> float:
    """Return the best standardised value of -f: as told, or of the mean where there is noise."""
    if noiseless:
        return -float(gp.standardised.min())
    with torch.no_grad():
        mean, _ = gp.standardised_posterior(gp.x[:, None, :])
    return -float(mean.min())


def acquisition(
    name: str, gp: GaussianProcess, *, best: float, beta: float, pending: Tensor, seed: int
) -> Acquisition:
    """Return an acquisition function.

    Args:
        name: one of `NAMES`.
        gp: the fitted model.
        best: the standardised value of -f to improve on.
        beta: the weight of the variance, for `ucb`.
        pending: (p, columns) features of the points that are being evaluated.
        seed: of the Monte Carlo samples.
    """
    model = NegatedModel(gp)
    with warnings.catch_warnings():  # BoTorch advises LogEI to whoever asks for EI
        warnings.simplefilter("ignore", NumericsWarning)
        function = (
            _closed_form(name, model, best, beta)
            if len(pending) == 0
            else _monte_carlo(name, model, best, beta, pending, seed)
        )

    def evaluate(x: Tensor) -> Tensor:
        worth: Tensor = function(x[:, None, :])
        return worth

    return evaluate


def _closed_form(name: str, model: NegatedModel, best: float, beta: float) -> Any:
    if name == "ucb":
        return UpperConfidenceBound(model, beta=beta)
    forms = {
        "log_ei": LogExpectedImprovement,
        "ei": ExpectedImprovement,
        "pi": ProbabilityOfImprovement,
    }
    return forms[name](model, best_f=best)


def _monte_carlo(
    name: str, model: NegatedModel, best: float, beta: float, pending: Tensor, seed: int
) -> Any:
    sampler = SobolQMCNormalSampler(torch.Size([N_SAMPLES]), seed=seed)
    if name == "ucb":
        return qUpperConfidenceBound(model, beta=beta, sampler=sampler, X_pending=pending)
    forms = {
        "log_ei": qLogExpectedImprovement,
        "ei": qExpectedImprovement,
        "pi": qProbabilityOfImprovement,
    }
    return forms[name](model, best_f=best, sampler=sampler, X_pending=pending)
