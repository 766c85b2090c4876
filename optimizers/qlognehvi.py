"""Several goals by BoTorch: qLogNEHVI, the expected hypervolume improvement under noise.

S. Daulton, M. Balandat and E. Bakshy, *Parallel Bayesian Optimization of Multiple Noisy Objectives
with Expected Hypervolume Improvement*, NeurIPS 2021, in the logarithmic form of S. Ament et al.,
NeurIPS 2023: a scrambled Sobol design, then in each step one `SingleTaskGP` per goal and per limit
(BoTorch's defaults, as in `botorch_gp.py`), and the point of greatest
`qLogNoisyExpectedHypervolumeImprovement`, with pending trials as `X_pending` and each limit as a
constraint on its excess. The expectation is over the values at the told points, so noise is taken
into account. The hypervolume is measured from the declared references of the goals. With fewer than
two goals, the acquisition is `qLogNoisyExpectedImprovement`.

Departures, in addition to those of `botorch_gp.py`, which also apply here:
- The reference of a goal without a declared one lies a tenth of the range beyond the worst value so
far.
- A failure has the worst number of each goal, see `optimizers/goal_targets.py`.
- The design continues until two evaluations have succeeded.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.acquisition.objective import GenericMCObjective
from botorch.fit import fit_gpytorch_mll
from botorch.models import ModelListGP, SingleTaskGP
from botorch.sampling import SobolQMCNormalSampler
from ConfigSpace import ConfigurationSpace
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray

from objectives import expected
from objectives.trial import Evaluation, Goal, Limit, Trial
from optimizers.botorch_gp import BoTorchGP
from optimizers.goal_targets import excesses, goal_targets, succeeded
from optimizers.warp import Scale

_CLIFF = 10.0  # values above this multiple of the range of the better 90 % are a cliff
_CUT = 1.5  # the values are then clipped at this multiple of that range
_BEYOND = 0.1  # share of a goal's range by which an undeclared reference exceeds the worst
_MOST_EXCESS = 1e3  # a limit's excess is clipped at this multiple of its median size

Vector = NDArray[np.float64]


class QLogNEHVI(BoTorchGP):
    """Asks for a Sobol design, then for the greatest noisy expected hypervolume improvement.

    Args:
        goals: the goals by metric; with fewer than two, the value is minimised.
        limits: the limits by metric.
        n_initial: number of points of the design.
        num_restarts: number of local searches per ask.
        raw_samples: number of points from which their starts are chosen.
        mc_samples: number of samples of the expectation.

    Raises:
        ValueError: a setting is out of its range.
    """

    version: int = 1
    name = "qlognehvi"

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        goals: Mapping[str, Goal],
        limits: Mapping[str, Limit],
        n_initial: int,
        num_restarts: int,
        raw_samples: int,
        mc_samples: int,
    ) -> None:
        super().__init__(
            space,
            seed=seed,
            n_initial=n_initial,
            num_restarts=num_restarts,
            raw_samples=raw_samples,
        )
        expected.whole(f"{self.name}.mc_samples", mc_samples, 1)
        self._mc_samples = mc_samples
        self._goals = dict(goals) if len(goals) > 1 else {}
        self._limits = dict(limits)
        self._told: list[Evaluation] = []
        self._models: ModelListGP | None = None  # of all told evaluations; None if a fit is due
        self._reference: Vector = np.zeros(0)

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        super().tell(trial, evaluation)
        self._told.append(evaluation)
        self._models = None

    def _n_known(self) -> int:
        return sum(succeeded(evaluation, self._goals) for evaluation in self._told)

    def _acquisition(self, seed: int) -> Any:
        if self._models is None:
            self._models = self._fitted()
        x = torch.tensor(np.array(self._points))
        pending = [self._cube.point(config) for config in self._pending.values()]
        m = max(len(self._goals), 1)
        common: dict[str, Any] = {
            "model": self._models,
            "X_baseline": x,
            "sampler": SobolQMCNormalSampler(torch.Size([self._mc_samples]), seed=seed),
            "prune_baseline": True,
            "X_pending": torch.tensor(np.array(pending)) if pending else None,
        }
        if self._limits:
            common["constraints"] = [_excess_of(m + k) for k in range(len(self._limits))]
        if not self._goals:
            return qLogNoisyExpectedImprovement(
                objective=GenericMCObjective(lambda y, X=None: y[..., 0]), **common
            )
        return qLogNoisyExpectedHypervolumeImprovement(
            ref_point=(-self._reference).tolist(),
            objective=IdentityMCMultiOutputObjective(outcomes=list(range(m))),
            **common,
        )

    def _fitted(self) -> ModelListGP:
        """Return the models of the negative goals and of the excesses; set the reference."""
        f = goal_targets(self._told, self._goals)  # (n, m)
        declared = [_signed_reference(goal) for goal in self._goals.values()] or [None]
        scaled = [_scaled(column, r) for column, r in zip(f.T, declared, strict=True)]
        self._reference = np.array([reference for _, reference in scaled])
        x = torch.tensor(np.array(self._points))
        outcomes = [-t for t, _ in scaled]
        outcomes += [_scaled_excess(c) for c in excesses(self._told, self._limits).T]
        models = []
        for outcome in outcomes:
            model = SingleTaskGP(x, torch.from_numpy(outcome)[:, None])
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            models.append(model)
        return ModelListGP(*models)


def _excess_of(column: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the constraint of a limit: its excess, which has to be at most 0."""
    return lambda y: y[..., column]


def _signed_reference(goal: Goal) -> float | None:
    if goal.reference is None:
        return None
    return goal.reference if goal.minimise else -goal.reference


def _scaled(y: Vector, reference: float | None) -> tuple[Vector, float]:
    """Return numbers of a goal (n,), shifted, scaled and without cliffs, and its reference."""
    scale = Scale.of(y)
    t = scale.relative(y)  # the least is 0, the median 1
    worst = float(t.max())
    r = worst * (1 + _BEYOND)
    if reference is not None:
        r = float(scale.relative(np.array([reference]))[0])
    ordinary = float(np.sort(t)[-1 - max(1, len(t) // 10)])
    cut = _CUT * ordinary if 0 < _CLIFF * ordinary < worst else max(worst, 1.0)
    unit = cut if worst > 1e6 else 1.0
    return np.minimum(t, cut) / unit, float(np.clip(r, -1e6, 2 * max(cut, r / 2))) / unit


def _scaled_excess(c: Vector) -> Vector:
    """Return excesses (n,) divided by their median size; 0 stays 0."""
    size = float(np.median(np.abs(c))) or float(np.abs(c).max()) or 1.0
    return np.clip(c / size, -_MOST_EXCESS, _MOST_EXCESS)
