"""SAASBO by maximum a posteriori: a model that finds the few parameters that matter.

D. Eriksson and M. Jankowiak, *High-Dimensional Bayesian Optimization with Sparse Axis-Aligned
Subspaces*, UAI 2021, with BoTorch's `EnsembleMapSaasSingleTaskGP`.

The prior of the paper (sec. 4.1), with rho_i the inverse squared length scale of parameter i:

    tau ~ HalfCauchy(0.1),   rho_i ~ HalfCauchy(tau),   k = Matern-5/2 with rho.

The global shrinkage tau keeps most rho_i near 0, so that these parameters are ignored; the heavy
tail of the half-Cauchy lets a few of them escape as the data require. The paper draws the
hyperparameters by NUTS. Here `n_taus` values of tau are drawn from their prior, the other
hyperparameters are fitted by maximum a posteriori for each of them, and the acquisition is averaged
over these models, which takes seconds instead of minutes.

Departures: apart from the fit, everything is as in `optimizers/botorch_gp.py`: the design, LogEI,
its maximisation, failures and pending trials. The values of tau are drawn anew in each step from
the trial's own seed.
"""

import torch
from botorch.models import SingleTaskGP
from botorch.models.map_saas import EnsembleMapSaasSingleTaskGP
from ConfigSpace import ConfigurationSpace

from objectives import expected
from optimizers.botorch_gp import BoTorchGP


class Saasbo(BoTorchGP):
    """Asks for a Sobol design, then for the greatest LogEI of an ensemble of sparse models.

    Args:
        n_initial: number of points of the design.
        num_restarts: number of local searches per ask.
        raw_samples: number of points from which their starts are chosen.
        n_taus: number of models of the ensemble.

    Raises:
        ValueError: a setting is out of its range.
    """

    name = "saasbo"

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        n_initial: int,
        num_restarts: int,
        raw_samples: int,
        n_taus: int,
    ) -> None:
        super().__init__(
            space,
            seed=seed,
            n_initial=n_initial,
            num_restarts=num_restarts,
            raw_samples=raw_samples,
        )
        expected.whole(f"{self.name}.n_taus", n_taus, 1)
        self._n_taus = n_taus

    def _build(self, points: torch.Tensor, objective: torch.Tensor) -> SingleTaskGP:
        return EnsembleMapSaasSingleTaskGP(points, objective, num_taus=self._n_taus)
