"""Bayesian optimization with BoTorch's defaults: its model, acquisition function and search.

M. Balandat et al., *BoTorch: A Framework for Efficient Monte-Carlo Bayesian Optimization*, NeurIPS
2020, as its documentation recommends: a scrambled Sobol design, then in each step a `SingleTaskGP`
with default arguments (an RBF kernel with one length scale per axis, the dimension-scaled
log-normal prior of Hvarfner et al., ICML 2024, standardised outcomes), fitted by
`fit_gpytorch_mll`. The acquisition function is LogEI (Ament et al., NeurIPS 2023) if nothing is
pending, and otherwise qLogEI with `X_pending`; `optimize_acqf` maximises it with 10 restarts from
512 raw samples. BoTorch maximises, so the model is fitted to the negative values. The suite's own
optimizer is `gp_bo`.

Departures, all on points that the documentation leaves open:
- The model uses the unit cube of `objectives.space.UnitCube`. Proposals and told configurations are
  rounded to the configurations that they represent. A proposal that is known or forbidden is
  replaced by a random allowed configuration, which is also new if 100 draws find a new one.
- A failure without a graded penalty has the worst value so far. Values are shifted and scaled
  before `SingleTaskGP` standardises them, so that very large or small values lose no precision. If
  a value exceeds ten times the range of all but the worst tenth, values are clipped at 1.5 times
  that range, because the standardisation would hide the differences between the others.
- The design continues until two values are told.
- BoTorch's random state depends on the trial's id, so it does not depend on the sizes of the asks.
  The global random state of torch is restored.
"""

import warnings
from typing import Any

import numpy as np
import torch
from botorch.acquisition import LogExpectedImprovement, qLogExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.optim import optimize_acqf
from botorch.sampling import SobolQMCNormalSampler
from ConfigSpace import ConfigurationSpace
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray

from objectives import expected
from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Trial
from optimizers.light_qmc import qmc
from optimizers.one_thread import one_thread
from optimizers.optimizer import Optimizer
from optimizers.random_search import draw
from optimizers.warp import Scale

_CLIFF = 10.0  # values are clipped if one exceeds the range of the better 90 % by this factor
_CUT = 1.5  # the values are then clipped at this multiple of that range
_TRIES = 100  # maximum number of draws to find a new configuration

Key = tuple[tuple[str, Any], ...]


class BoTorchGP(Optimizer):
    """Asks for a Sobol design, then for the points proposed by BoTorch's default method.

    Args:
        n_initial: the number of points in the design.
        num_restarts: the number of local searches per ask.
        raw_samples: the number of points from which their starts are chosen.

    Raises:
        ValueError: a setting is out of its range.
    """

    slow = True
    name = "botorch"  # in messages about a setting

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        n_initial: int,
        num_restarts: int,
        raw_samples: int,
    ) -> None:
        super().__init__(space, seed=seed)
        settings = {
            "n_initial": n_initial,
            "num_restarts": num_restarts,
            "raw_samples": raw_samples,
        }
        for name, count in settings.items():
            expected.whole(f"{self.name}.{name}", count, 1)
        self._n_initial = n_initial
        self._num_restarts = num_restarts
        self._raw_samples = raw_samples
        self._cube = UnitCube(space)
        rng = np.random.default_rng(seed)
        self._sobol = qmc.Sobol(self._cube.dim, scramble=True, rng=int(rng.integers(2**31)))
        self._pending: dict[int, Config] = {}
        self._known: set[Key] = set()
        self._points: list[NDArray[np.float64]] = []
        self._values: list[float | None] = []
        self._model: SingleTaskGP | None = None  # fitted to all told values; None if a fit is due

    def ask(self, n: int = 1) -> list[Trial]:
        trials = []
        for _ in range(n):
            trial = self._trial(self._next())
            self._pending[trial.id] = trial.config
            self._known.add(_key(trial.config))
            trials.append(trial)
        return trials

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        self._pending.pop(trial.id, None)
        self._known.add(_key(trial.config))
        self._points.append(self._cube.point(trial.config))
        self._values.append(evaluation.value)
        self._value(evaluation)  # records the worst value
        self._model = None

    def refuse(self, trial: Trial) -> None:
        self._pending.pop(trial.id, None)

    def _next(self) -> Config:
        if self._in_design():
            with warnings.catch_warnings():  # the design need not be a power of two
                warnings.simplefilter("ignore", UserWarning)
                config = self._cube.config(self._sobol.random(1)[0])
        else:
            config = self._cube.config(self._proposal())
        rng = np.random.default_rng([self.seed, self._n_trials])
        for _ in range(_TRIES):
            if self._cube.allows(config) and _key(config) not in self._known:
                return config
            config = draw(self._cube, rng)
        return config

    def _in_design(self) -> bool:
        """Return whether the next trial belongs to the initial design."""
        return self._n_trials < self._n_initial or self._n_known() < 2

    def _n_known(self) -> int:
        """Return the number of evaluations with a value."""
        return sum(value is not None for value in self._values)

    def _proposal(self) -> NDArray[np.float64]:
        """Return the point (dim,) with the greatest acquisition."""
        bounds = torch.tensor([[0.0], [1.0]], dtype=torch.float64).repeat(1, self._cube.dim)
        seed = int(np.random.default_rng([self.seed, self._n_trials]).integers(2**31))
        with one_thread(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about fits and searches that are repeated
            torch.manual_seed(seed)
            best, _ = optimize_acqf(
                self._acquisition(seed),
                bounds,
                q=1,
                num_restarts=self._num_restarts,
                raw_samples=self._raw_samples,
                options={"seed": seed},
            )
        point: NDArray[np.float64] = best[0].numpy()
        return np.clip(np.nan_to_num(point, nan=0.5), 0.0, 1.0)

    def _acquisition(self, seed: int) -> Any:
        """Return LogEI, or qLogEI if trials are pending, of the model of all told values."""
        points, objective = self._data()
        if self._model is None:
            self._model = self._build(points, objective)
            fit_gpytorch_mll(ExactMarginalLogLikelihood(self._model.likelihood, self._model))
        if not self._pending:
            return LogExpectedImprovement(self._model, best_f=objective.max())
        pending = [self._cube.point(config) for config in self._pending.values()]
        return qLogExpectedImprovement(
            self._model,
            best_f=objective.max(),
            sampler=SobolQMCNormalSampler(torch.Size([128]), seed=seed),
            X_pending=torch.tensor(np.array(pending)),
        )

    def _data(self, first: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the points (n, dim) and the objective (n, 1) of what was told from `first` on."""
        worst = 0.0 if self._worst is None else self._worst
        values = [worst if value is None else value for value in self._values[first:]]
        objective = -torch.from_numpy(_scaled(np.array(values)))[:, None]
        return torch.tensor(np.array(self._points[first:])), objective

    def _build(self, points: torch.Tensor, objective: torch.Tensor) -> SingleTaskGP:
        """Return the model before its hyperparameters are fitted."""
        return SingleTaskGP(points, objective)


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values (n,), n >= 2, shifted, scaled and clipped."""
    t = Scale.of(values).relative(values)  # the least is 0
    ordinary = float(np.sort(t)[-1 - max(1, len(t) // 10)])
    if ordinary <= 0:
        return t / max(float(t.max()), 1.0)
    return np.minimum(t, _CUT * ordinary) if t.max() > _CLIFF * ordinary else t


def _key(config: Config) -> Key:
    return tuple(sorted(config.items()))
