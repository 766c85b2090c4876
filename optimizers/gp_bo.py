"""Bayesian optimization with a Gaussian process: `gp_bo`.

EGO (Jones, Schonlau & Welch, 1998) with LogEI (Ament et al., NeurIPS 2023): a Latin hypercube
first, then in each step the configuration of greatest acquisition under the GP of
`optimizers.gaussian_process`. A batch is filled greedily: points asked and not yet told are
pending, and the acquisition of a candidate is joint with them (qLogEI).

Departures:
- A failed evaluation without a value counts as the worst value told, at the time of the fit
  and not of the tell (the first failure may come before any value). A graded penalty is cut
  at one range of the successes above the worst of them, or it would flatten all the rest.
- On a noiseless objective no configuration is proposed twice; on a noisy one LogEI improves on
  the best posterior mean of the data instead of the best value told.
- While nothing is told and the design is spent, points are space-filling: the farthest
  candidate from all that are pending.
- Randomness comes from the seed and the trial's id, so it does not depend on how asks are cut.
"""

import math

import numpy as np
import torch
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import qmc

from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Trial
from optimizers.acquisition import NAMES, Acquisition, acquisition, best_value
from optimizers.acquisition_search import AcquisitionSearch, Key, key
from optimizers.gaussian_process import GaussianProcess, one_thread
from optimizers.optimizer import Optimizer

_CHUNK = 2048  # rows whose acquisition is computed at once
_N_CENTRES = 3  # best points told around which candidates are drawn


class GaussianProcessOptimizer(Optimizer):
    """Asks for a Latin hypercube, then for the greatest acquisition under a Gaussian process."""

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        n_initial: int,
        acquisition: str,
        beta: float,
        noiseless: bool,
        candidates: int,
        starts: int,
    ) -> None:
        super().__init__(space, seed=seed)
        for name, count in (("n_initial", n_initial), ("starts", starts)):
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise ValueError(f"gp_bo.{name}: expected a positive integer, got {count!r}")
        _validate(acquisition, beta, noiseless, candidates)
        self._acquisition = acquisition
        self._beta = float(beta)
        self._noiseless = noiseless
        self._cube = UnitCube(space)
        self._gp = GaussianProcess(self._cube)
        self._search = AcquisitionSearch(self._cube, self._gp, candidates=candidates, starts=starts)
        self._design = self._latin_hypercube(n_initial)
        self._pending: dict[int, Config] = {}
        self._known: set[Key] = set()  # asked or told
        self._points: list[NDArray[np.float64]] = []
        self._told: list[Evaluation] = []
        self._n_fitted = 0

    def _latin_hypercube(self, n: int) -> list[Config]:
        """Return the design, last point first; forbidden points are left out."""
        sampler = qmc.LatinHypercube(self._cube.dim, rng=np.random.default_rng(self.seed))
        configs = [self._cube.config(u) for u in sampler.random(n)]
        return [config for config in reversed(configs) if self._cube.allows(config)]

    def ask(self, n: int = 1) -> list[Trial]:
        trials: list[Trial] = []
        with one_thread():
            while len(trials) < n:
                config = self._next()
                if config is None:
                    break
                trial = self._trial(config)
                self._pending[trial.id] = config
                self._known.add(key(config))
                trials.append(trial)
        return trials

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        self._pending.pop(trial.id, None)
        self._known.add(key(trial.config))
        self._points.append(self._cube.point(trial.config))
        self._told.append(evaluation)

    def _next(self) -> Config | None:
        """Return the next configuration, or None where all are known."""
        excluded = self._known if self._noiseless else set()
        if self._search.exhausted(excluded):
            return None
        while self._design:
            config = self._design.pop()
            if key(config) not in excluded:
                return config
        rng = np.random.default_rng([self.seed, self._n_trials])
        if not self._told:
            return self._farthest(excluded, rng)
        values = self._values()
        worth = self._worth(values, rng)
        centres = np.array(self._points)[np.argsort(values, kind="stable")[:_N_CENTRES]]
        return self._search.maximise(worth, centres, excluded, rng)

    def _worth(self, values: NDArray[np.float64], rng: np.random.Generator) -> Acquisition:
        """Return the acquisition function, of a model that knows all values (n,) told."""
        if self._n_fitted < len(values):
            self._gp.fit(np.array(self._points), values, refit=True)
            self._n_fitted = len(values)
        return acquisition(
            self._acquisition,
            self._gp,
            best=best_value(self._gp, self._noiseless),
            beta=self._beta,
            pending=self._gp.features(self._pending_points()),
            seed=int(rng.integers(2**31)),
        )

    def worth(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the acquisition (n,) of unit points (n, dim) given what was told; asks nothing.

        Args:
            points: as `UnitCube.snap` returns them.

        Raises:
            RuntimeError: nothing was told yet.
        """
        if not self._told:
            raise RuntimeError("gp_bo.worth: expected some evaluations told, got none")
        with one_thread():
            worth = self._worth(self._values(), np.random.default_rng([self.seed, 0]))
            features = self._gp.features_of_snapped(points)
            with torch.no_grad():
                starts = range(0, len(features), _CHUNK)
                parts = [worth(features[start : start + _CHUNK]).numpy() for start in starts]
        return np.concatenate(parts)

    def _pending_points(self) -> NDArray[np.float64]:
        points = [self._cube.point(config) for config in self._pending.values()]
        return np.array(points).reshape(-1, self._cube.dim)

    def _farthest(self, excluded: set[Key], rng: np.random.Generator) -> Config | None:
        """Return the candidate farthest from what is pending."""
        pool = self._search.pool(np.zeros((0, self._cube.dim)), excluded, rng)
        pending = self._pending_points()
        if len(pool) == 0 or len(pending) == 0:
            return self._cube.config(pool[0]) if len(pool) else None
        return self._cube.config(pool[int(np.argmax(cdist(pool, pending).min(axis=1)))])

    def _values(self) -> NDArray[np.float64]:
        """Return what was told (n,), with failures as the module's docstring says."""
        successes = [e.value for e in self._told if e.error is None and e.value is not None]
        graded = [math.inf if e.value is None else e.value for e in self._told]
        if not successes:
            penalties = [value for value in graded if math.isfinite(value)]
            return np.minimum(graded, max(penalties, default=0.0))
        worst = max(successes)
        cut = worst + (worst - min(successes))
        values = [
            worst if e.value is None else min(e.value, cut) if e.error else e.value
            for e in self._told
        ]
        return np.array(values)


def _validate(acquisition: str, beta: float, noiseless: bool, candidates: int) -> None:
    if acquisition not in NAMES:
        raise ValueError(f"gp_bo.acquisition: expected one of {list(NAMES)}, got {acquisition!r}")
    if isinstance(beta, bool) or not isinstance(beta, (int, float)) or not 0 < beta < math.inf:
        raise ValueError(f"gp_bo.beta: expected a positive number, got {beta!r}")
    if not isinstance(noiseless, bool):
        raise ValueError(f"gp_bo.noiseless: expected true or false, got {noiseless!r}")
    power = isinstance(candidates, int) and not isinstance(candidates, bool) and candidates > 0
    if not power or candidates & (candidates - 1):
        raise ValueError(f"gp_bo.candidates: expected a power of two, got {candidates!r}")
