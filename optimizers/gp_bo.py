"""Bayesian optimization with a Gaussian process: `gp_bo`, the suite's own optimizer.

This is EGO (Jones, Schonlau & Welch, 1998) with LogEI (Ament et al., NeurIPS 2023). It starts with
a small design: the centre of the cube and, of 50 Latin hypercubes, the one with the largest minimum
distance. Then each step takes the configuration with the greatest acquisition under the GP of
`optimizers/gaussian_process.py`. Every `exploit_every`-th step takes the minimum of the posterior
mean instead, which is cheaper than LogEI and gives results that are no worse.

A batch is filled point by point. Points that were asked but not told are pending, and the model
uses their posterior mean as their value (Ginsbourger et al., 2010, "kriging believer"). At most one
pending point is a minimum of the posterior mean, because pending points do not change the mean.

Departures:
- A failed evaluation enters the model as described in `optimizers/targets.py`. Until the first
  success there is nothing to model, and each point is the candidate farthest from all known points.
  (The penalties of failures are not used for this, because they may be misleading.)
- The design respects the space's rules: a forbidden point is replaced by the farthest allowed one.
- On a noiseless objective, no configuration is proposed twice. On a noisy one, LogEI improves on
  the best posterior mean of the data instead of the best value told, and may repeat a
  configuration.
- With limits, the acquisition is multiplied by the probability that they are kept, see
  `optimizers/limited.py`; the value to improve on is that of the best feasible evaluation.
- With earlier tasks, an ensemble of their models and this one takes the place of the model, see
  `optimizers/rgpe.py`; every other trial follows it while the design is not used up.
- Randomness comes from the seed and the trial's id, so it does not depend on the sizes of the asks.

Cost: up to 200 evaluations, the hyperparameters are fitted to all data in every step. With more,
they are fitted to a subset (see the model), and the only O(n^3) cost of a step is the factorisation
of the kernel matrix: about a quarter of a second at n = 1,000.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from objectives import expected
from objectives.space import UnitCube
from objectives.trial import Config, EarlierTask, Evaluation, Limit, Trial
from optimizers.acquisition import NAMES, Acquisition
from optimizers.acquisition_search import AcquisitionSearch, Key, key
from optimizers.gaussian_process import GaussianProcess
from optimizers.light_qmc import qmc
from optimizers.limited import Limited, LimitModels
from optimizers.one_thread import one_thread
from optimizers.optimizer import Optimizer
from optimizers.rgpe import EarlierModels
from optimizers.targets import succeeded, targets

_LARGEST_DESIGN = 10_000  # points; the model takes the cube of their number
_N_CENTRES = 3  # number of best points around which candidates are drawn
_NEAR = 1e-3  # points closer than this, in sides of the cube, are considered redundant
_N_DESIGNS = 50  # number of Latin hypercubes from which the best spread one is taken
_MARGIN = 0.1  # distance of the hypercube from the faces of the cube, in sides of the cube


class GaussianProcessOptimizer(Optimizer):
    """Asks for a small design, then for the greatest acquisition under a Gaussian process.

    Args:
        n_initial: the number of points in the design.
        acquisition: one of `optimizers.acquisition.NAMES`.
        beta: the weight of the variance, for `ucb`.
        noiseless: whether a configuration always has the same value.
        exploit_every: the number of steps between two minima of the posterior mean; 0 for none.
        candidates: the number of quasi-random points in a step's pool, a power of two.
        starts: the number of candidates that are improved by gradient.
        limits: the limits by metric.
        transfer: earlier tasks.

    Raises:
        ValueError: a setting is out of its range.
    """

    own = True
    version: int = 2  # 1: BoTorch's parts on GPyTorch's kernel, ten points first

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        n_initial: int,
        acquisition: str,
        beta: float,
        noiseless: bool,
        exploit_every: int,
        candidates: int,
        starts: int,
        limits: Mapping[str, Limit] | None = None,
        transfer: Sequence[EarlierTask] = (),
    ) -> None:
        super().__init__(space, seed=seed)
        expected.whole("gp_bo.n_initial", n_initial, 1, _LARGEST_DESIGN)
        expected.whole("gp_bo.starts", starts, 1)
        expected.whole("gp_bo.exploit_every", exploit_every, 0)
        _validate(acquisition, beta, noiseless, candidates)
        self._acquisition = acquisition
        self._beta = float(beta)
        self._noiseless = noiseless
        self._exploit_every = exploit_every
        self._cube = UnitCube(space)
        self._gp = GaussianProcess(self._cube)
        self._limits = LimitModels(self._cube, limits or {})
        self._search = AcquisitionSearch(
            self._cube, self._gp.features, candidates=candidates, starts=starts, seed=seed
        )
        self._pending: dict[int, Config] = {}
        self._exploiting: int | None = None  # id of the pending minimum of the mean
        self._known: set[Key] = set()  # keys of configurations that were asked or told
        self._points: list[NDArray[np.float64]] = []
        self._told: list[Evaluation] = []
        self._n_fitted = 0
        self._earlier: EarlierModels | None = None
        if any(succeeded(evaluation) for task in transfer for evaluation in task.evaluations):
            self._earlier = EarlierModels(transfer, self._gp, self._cube, seed)
        self._design = self._spread_design(n_initial)

    def _spread_design(self, n: int) -> list[NDArray[np.float64]]:
        """Return the design in reverse order: the centre, then a Latin hypercube around it."""
        rng = np.random.default_rng(self.seed)
        sampler = qmc.LatinHypercube(self._cube.dim, rng=rng)
        designs = [sampler.random(n - 1) for _ in range(_N_DESIGNS)] if n > 1 else []
        none = np.empty((0, self._cube.dim))
        best = max(designs, key=lambda points: pdist(points).min() if n > 2 else 0.0, default=none)
        hypercube = [_MARGIN + (1 - 2 * _MARGIN) * u for u in best]
        return [*hypercube[::-1], np.full(self._cube.dim, 0.5)]

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
        self._exploiting = None if trial.id == self._exploiting else self._exploiting
        self._known.add(key(trial.config))
        self._points.append(self._cube.point(trial.config))
        self._told.append(evaluation)

    def refuse(self, trial: Trial) -> None:
        self._pending.pop(trial.id, None)
        self._exploiting = None if trial.id == self._exploiting else self._exploiting

    def _next(self) -> Config | None:
        """Return the next configuration, or None if all are known."""
        if self._noiseless and self._search.exhausted(self._known):
            return None
        rng = np.random.default_rng([self.seed, self._n_trials])
        known = self._has_model()
        leads = self._earlier is not None and known and self._n_trials % 2 == 0
        if self._design and not leads:
            config = self._cube.config(self._design.pop())
            return config if self._admits(config) else self._farthest(rng)
        return self._best(rng) if known else self._farthest(rng)

    def _admits(self, config: Config) -> bool:
        known = self._noiseless and key(config) in self._known
        return not known and self._cube.allows(config)

    def _best(self, rng: np.random.Generator) -> Config | None:
        """Return the configuration with the greatest acquisition."""
        t = self._fit()
        pending = self._pending_points()
        self._pend(pending)
        centres = self._centres(t)

        def admits(config: Config) -> bool:
            return self._admits(config) and not self._is_near(config, pending)

        if self._exploit_every and self._n_trials % self._exploit_every == 0:
            if self._exploiting is None:
                mean = self._worth("mean")
                config = self._search.maximise(mean, centres, admits, rng)
                if config is not None:
                    self._exploiting = self._n_trials
                    return config
        worth = self._worth()
        config = self._search.maximise(worth, centres, admits, rng)
        return config or self._search.maximise(worth, centres, self._admits, rng)

    def _is_near(self, config: Config, points: NDArray[np.float64]) -> bool:
        """Return whether a configuration is redundant because it lies too close to `points`."""
        if not self._noiseless or len(points) == 0:
            return False
        away = np.abs(points - self._cube.point(config)).max(axis=1)
        return bool(away.min() < _NEAR)

    def _has_model(self) -> bool:
        """Return whether something is known that a model can be fitted to."""
        return self._any_success() or (self._earlier is not None and not self._told)

    def _pend(self, points: NDArray[np.float64]) -> None:
        """Add pending points (p, dim) to the models."""
        (self._earlier or self._gp).pend(points)
        self._limits.pend(points)

    def _centres(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the best points (k, dim) by their targets (n,); candidates are drawn near them."""
        if self._earlier is not None and not self._any_success():
            return self._earlier.best(_N_CENTRES)
        return np.array(self._points)[np.argsort(t, kind="stable")[:_N_CENTRES]]

    def _any_success(self) -> bool:
        return any(map(succeeded, self._told))

    def _targets(self) -> NDArray[np.float64]:
        """Return what the model is fitted to (n,)."""
        return targets(self._told)

    def _fit(self) -> NDArray[np.float64]:
        """Fit the models to all told evaluations; return the targets (n,)."""
        if not self._any_success():
            return np.zeros(len(self._told))
        t = self._targets()
        if self._n_fitted < len(t):
            self._gp.fit(np.array(self._points), t, refit=True)
            self._limits.fit(np.array(self._points), self._told)
            self._n_fitted = len(t)
            if self._earlier is not None:
                self._earlier.weigh(np.array(self._points))
        return t

    def _worth(self, name: str | None = None) -> Acquisition:
        """Return the acquisition function of the fitted model, with the limits if there are some.

        Args:
            name: the name of the acquisition; by default that of the settings.
        """
        name = name or self._acquisition
        if self._earlier is not None:
            told = zip(self._points, self._told, strict=True)
            successes = np.array([point for point, evaluation in told if succeeded(evaluation)])
            best = self._earlier.reached(successes, self._noiseless)
            return Acquisition(name, self._earlier.ensemble, best, self._beta)
        gp = self._gp
        known = gp.z if self._noiseless else gp.at(gp.x)[0]
        if not self._limits:
            return Acquisition(name, gp, float(known.min()), self._beta)
        kept = self._limits.feasible(self._told)
        best = float(known[kept].min(initial=known.max()))
        return Limited(name, gp, best, self._beta, self._limits.models, alone=not kept.any())

    def worth(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the acquisition (n,) at unit points, without asking for a trial.

        Args:
            points: unit points (n, dim), as `UnitCube.snap` returns them.

        Raises:
            RuntimeError: no evaluation has succeeded yet.
        """
        if not self._has_model():
            raise RuntimeError("gp_bo.worth: expected some evaluations told, got none")
        with one_thread():
            self._fit()
            self._pend(self._pending_points())
            return self._worth().at(self._gp.features.of_snapped(points))

    def _pending_points(self) -> NDArray[np.float64]:
        points = [self._cube.point(config) for config in self._pending.values()]
        return np.array(points).reshape(-1, self._cube.dim)

    def _farthest(self, rng: np.random.Generator) -> Config | None:
        """Return the candidate farthest from all told, pending and design points."""
        known = [*self._points, *self._pending_points(), *map(self._cube.snap, self._design)]
        return self._search.spread(np.array(known).reshape(-1, self._cube.dim), self._admits, rng)


def _validate(acquisition: str, beta: float, noiseless: bool, candidates: int) -> None:
    expected.one_of("gp_bo.acquisition", acquisition, NAMES)
    expected.number("gp_bo.beta", beta, above=0)
    expected.switch("gp_bo.noiseless", noiseless)
    if not expected.is_whole(candidates, 1) or candidates & (candidates - 1):
        expected.refuse("gp_bo.candidates", "a power of two", candidates)
