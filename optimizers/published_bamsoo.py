"""BaMSOO as N. Davouse and E-G. Talbi published it: the variant `published` of `bamsoo`.

The study and the rules of its tree are described in `optimizers/published_soo.py`. The model also
follows the study's code where that differs from the paper. `optimizers/bamsoo.py` is the algorithm
of Wang et al. (2014). The study maximises, whereas here scores are minimised. f+ is therefore
`best`, the lowest score of the tree; the study's UCB is our lower bound, and its LCB is our upper
bound.

- Bounds are mean -+ B sd with B = sqrt(2 ln(pi^2 N^2 / (6 eta))), eta = 1, where N counts all
  nodes of the tree before the new one (the paper says evaluations).
- A child is evaluated if its lower bound is at most f+; otherwise its upper bound is its score. f+
  is the best score of all nodes, including scores that are bounds.
- A child inherits a score only if its parent was evaluated or had inherited its own score.
- The model is refitted from scratch before every child. It is the default of BoTorch 0.10: a scaled
  Matern-5/2 kernel (the paper says RBF) with a length scale per axis and Gamma priors. The relaxed
  inputs are normalised by the range of the evaluated points, and the outputs are standardised.

Departures in addition to those of `published_soo`: a child without finite bounds is evaluated, and
a failure without a penalty enters the model as the worst value told so far.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms import Normalize, Standardize
from botorch.models.utils.gpytorch_modules import (
    get_gaussian_likelihood_with_gamma_prior,
    get_matern_kernel_with_gamma_prior,
)
from ConfigSpace import ConfigurationSpace
from gpytorch.mlls import ExactMarginalLogLikelihood

from objectives.trial import Evaluation, Trial
from optimizers.one_thread import one_thread
from optimizers.published_soo import Node, PublishedSOO
from optimizers.relaxed_box import Vector

_ETA = 1.0
_LARGEST = 1e100  # the largest absolute value in the model, which squares values

Bounds = tuple[float, float]
"""A lower and an upper bound of a value, which is minimised."""


class PublishedBaMSOO(PublishedSOO):
    """Follow the study's rules, one trial at a time.

    Args:
        k: the number of children per split, which must be odd.

    Attributes:
        bounds: the function that returns the bounds of a new node; a replay replaces it by one
            that returns the recorded bounds.

    Raises:
        ValueError: `k` is not an odd integer of at least 3.
    """

    def __init__(self, space: ConfigurationSpace, *, seed: int, k: int) -> None:
        super().__init__(space, seed=seed, k=k)
        self.bounds: Callable[[Node], Bounds] = self.own_bounds
        self._data: dict[int, tuple[Vector, float | None]] = {}  # by trial id

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        asked = self._waiting if trial.id == self._asked else None
        super().tell(trial, evaluation)
        known = asked is not None and asked.config == trial.config
        point = asked.centre if asked and known else self._box.point(trial.config)
        self._data[trial.id] = (point, evaluation.value)

    @property
    def best(self) -> float:
        """Return f+, the best score of the tree."""
        return min((n.score for n in self.nodes if n.score is not None), default=math.inf)

    def _gives(self, parent: Node) -> bool:
        return parent.state != "approximated"

    def _evaluate(self, node: Node) -> Iterator[Node]:
        if self.nodes and self._box.allows(node.config):
            lower, upper = self.bounds(node)
            if lower > self.best and math.isfinite(upper):
                node.score, node.state = upper, "approximated"
                return
        yield from super()._evaluate(node)

    def own_bounds(self, node: Node) -> Bounds:
        """Return the model's bounds at the centre of a node that is not yet in the tree."""
        data = [self._data[id] for id in sorted(self._data)]
        worst = self._worst if self._worst is not None else 0.0
        y = np.array([worst if value is None else value for _, value in data])
        if len(data) == 0 or not np.isfinite(y).all():
            return -math.inf, math.inf
        y = np.clip(y, -_LARGEST, _LARGEST)
        mean, deviation = _posterior(np.array([x for x, _ in data]), y, node.centre)
        factor = math.sqrt(2 * math.log(math.pi**2 * len(self.nodes) ** 2 / (6 * _ETA)))
        return mean - factor * deviation, mean + factor * deviation


def _posterior(x: Any, y: Any, at: Vector) -> tuple[float, float]:
    """Return the mean and standard deviation at `at` (dim,) of a model of x (n, dim), y (n,)."""
    points, values = torch.tensor(x), torch.tensor(y)[:, None]
    dim = points.shape[1]
    with one_thread(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # about a single point without deviation, and about fits that are repeated
        torch.manual_seed(0)  # a failed fit is repeated from a random draw from the priors
        model = SingleTaskGP(
            points,
            values,
            likelihood=get_gaussian_likelihood_with_gamma_prior(),
            covar_module=get_matern_kernel_with_gamma_prior(ard_num_dims=dim),
            input_transform=Normalize(d=dim),
            outcome_transform=Standardize(m=1),
        )
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        posterior = model.posterior(torch.tensor(at)[None, :])
        mean: float = posterior.mean.item()
        return mean, float(posterior.variance.clamp_min(0.0).sqrt().item())
