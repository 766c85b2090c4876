"""Bayesian optimization as BoTorch comes: its default model, acquisition and search.

M. Balandat et al., *BoTorch: A Framework for Efficient Monte-Carlo Bayesian Optimization*, NeurIPS
2020, by the recipe of its documentation: a scrambled Sobol design, then in each step `SingleTaskGP`
as it is built without arguments (an RBF kernel with a length scale per axis, the
dimension-scaled log-normal prior of Hvarfner et al., ICML 2024, standardised outcomes), fitted by
`fit_gpytorch_mll`; LogEI (Ament et al., NeurIPS 2023) where nothing is pending and qLogEI with
`X_pending` where something is; maximised by `optimize_acqf` with 10 restarts of 512 raw samples.
BoTorch maximises, so the model is of the negative values. The suite's own optimizer is `gp_bo`.

Departures, all where the recipe says nothing:
- The model sees the unit cube of `objectives.space.UnitCube`; a proposal is rounded to the
  configuration that it stands for, and so is what the model is told. A proposal that is known or
  forbidden is replaced by a random configuration (an allowed one, and one that is not known where
  100 draws find any).
- A failure without a graded penalty is told as the worst value so far. Values are shifted and
  scaled, which `SingleTaskGP` undoes, so that no size of theirs is lost in its arithmetic. Where
  a value exceeds ten times the range of all but the worst tenth, values are cut at one and a half
  times that range; the standardisation would hide the differences between the others.
- While fewer than two values are told the design goes on.
- BoTorch's random state is the trial's own, so that it does not depend on how asks are cut, and
  torch's global state is left as it was.
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

from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Trial
from optimizers.light_qmc import qmc
from optimizers.one_thread import one_thread
from optimizers.optimizer import Optimizer
from optimizers.random_search import draw
from optimizers.warp import Scale

_CLIFF = 10.0  # times the range of all but the worst tenth: larger values are a cliff
_CUT = 1.5  # times that range: where the values are cut if there is a cliff
_TRIES = 100  # draws for a configuration that is not known

Key = tuple[tuple[str, Any], ...]


class BoTorchGP(Optimizer):
    """Asks a Sobol design, then where BoTorch's default expects the greatest improvement.

    Args:
        n_initial: points of the design.
        num_restarts: local searches per ask.
        raw_samples: points among which their starts are chosen.

    Raises:
        ValueError: a setting is out of its range.
    """

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
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise ValueError(f"botorch.{name}: expected a positive integer, got {count!r}")
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
        self._model: SingleTaskGP | None = None  # of all values told; None: to be fitted

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
        self._value(evaluation)  # keeps the worst
        self._model = None

    def refuse(self, trial: Trial) -> None:
        self._pending.pop(trial.id, None)

    def _next(self) -> Config:
        if self._n_trials < self._n_initial or self._n_known() < 2:
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

    def _n_known(self) -> int:
        """Return the number of evaluations with a value."""
        return sum(value is not None for value in self._values)

    def _proposal(self) -> NDArray[np.float64]:
        """Return the point (dim,) of the greatest acquisition."""
        bounds = torch.tensor([[0.0], [1.0]], dtype=torch.float64).repeat(1, self._cube.dim)
        seed = int(np.random.default_rng([self.seed, self._n_trials]).integers(2**31))
        with one_thread(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fit or a search that is tried again
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
        """Return LogEI, or qLogEI with what is pending, of the model of all values told."""
        worst = 0.0 if self._worst is None else self._worst
        values = np.array([worst if value is None else value for value in self._values])
        objective = -torch.from_numpy(_scaled(values))[:, None]
        if self._model is None:
            self._model = SingleTaskGP(torch.tensor(np.array(self._points)), objective)
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


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values (n,), n >= 2, shifted, scaled, and without cliffs."""
    t = Scale.of(values).relative(values)  # the least is 0
    ordinary = float(np.sort(t)[-1 - max(1, len(t) // 10)])
    if ordinary <= 0:
        return t / max(float(t.max()), 1.0)
    return np.minimum(t, _CUT * ordinary) if t.max() > _CLIFF * ordinary else t


def _key(config: Config) -> Key:
    return tuple(sorted(config.items()))
