"""CMA-ES with restarts: Hansen, arXiv 1604.00772, in the implementation of `cmaes`.

A continuous space is searched by CMA-ES itself. A space with discrete parameters is searched by
CatCMA with margin (Hamano et al., arXiv 2504.07884), which has a Gaussian over floats, integers and
ordinals, and a categorical distribution over the choices. The margin keeps every discrete step
reachable. When a search stops making progress, it is restarted with a larger population (IPOP:
Auger & Hansen, CEC 2005).

Notation: lambda is the population size, which is 4 + floor(3 ln d) for d parameters that are not
constant. sigma0 is the initial step size in the unit cube.

Earlier tasks warm-start the first search (WS-CMA-ES: Nomura et al., AAAI 2021). Its mean m* and
covariance Sigma* = sigma^2 C are those of a Gaussian that is closest to the promising region of an
earlier task, the N_gamma = floor(gamma N) best of its N points x_i (eq. 8 and 9):

    m* = sum_i x_i / N_gamma,    Sigma* = alpha^2 I + sum_i (x_i - m*)(x_i - m*)^T / N_gamma

with gamma = alpha = 0.1. The paper has one earlier task; the points of several are pooled by their
quantiles within their tasks. The categorical distribution over choices starts as ever.

Departures:
- The search runs in the unit cube and starts at its centre; restarts begin at random points.
- An integer with more than 64 values is treated as continuous and rounded.
- If configurations are given first, the first search starts at the best of them instead, unless it
  was warm-started.
- A failure without a penalty counts as the worst value of its generation.
- A forbidden combination is drawn again, at most 100 times; then a random allowed point is used.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import cmaes
import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from objectives import expected
from objectives.space import UnitCube
from objectives.trial import Config, EarlierTask, Evaluation, Trial
from optimizers.optimizer import Optimizer
from optimizers.quantiles import promising
from optimizers.random_search import draw

_TRIES = 100  # the largest number of draws to obtain an allowed point
_LARGEST = 1e300  # the largest absolute value that is told, because `cmaes` computes differences
_LARGEST_SIZE = 100_000  # solutions of a generation, which is held in memory
_GAMMA = 0.1  # the share of an earlier task's points that are promising
_ALPHA = 0.1  # the standard deviation around each of them, in sides of the cube
_MOST_LEVELS = 64  # of CMA-ES; see `CmaEs.most_levels`


class CmaEs(Optimizer):
    """Proposes one generation point by point, and the next one after all evaluations are told.

    Args:
        sigma0: the initial step size in the unit cube.
        population_size: lambda before the first restart; None means 4 + floor(3 ln d).
        restart_factor: the factor by which lambda grows at a restart; 1 keeps it constant.
        transfer: earlier tasks.

    Attributes:
        most_levels: an integer with more values than this is treated as continuous.
        always_mixed: whether continuous spaces are searched by CatCMA with margin as well.
    """

    most_levels: int = _MOST_LEVELS
    always_mixed: bool = False

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        sigma0: float,
        population_size: int | None,
        restart_factor: float,
        transfer: Sequence[EarlierTask] = (),
    ) -> None:
        super().__init__(space, seed=seed)
        _check_settings(sigma0, population_size, restart_factor)
        self._cube = UnitCube(space)
        self._rng = np.random.default_rng(seed)
        self._sigma0 = sigma0
        self._restart_factor = restart_factor
        n_free = max(int(np.sum(self._cube.n_values > 1)), 1)
        self._lambda = population_size or 4 + math.floor(3 * math.log(n_free))  # eq. 48
        known = promising(transfer, self._cube)
        self._is_warm = bool(known)
        self._search = self._start(np.full(self._cube.dim, 0.5), known)
        self._generation: dict[int, tuple[Config, Any]] = {}
        self._values: dict[int, float | None] = {}
        self._given: float | None = None  # the best value of a given configuration
        self._begun = False  # whether a generation is complete

    def ask(self, n: int = 1) -> list[Trial]:
        trials: list[Trial] = []
        while len(trials) < n and len(self._generation) < self._lambda:
            config, solution = self._sample()
            trial = self._trial(config)
            self._generation[trial.id] = (config, solution)
            trials.append(trial)
        return trials

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        self._value(evaluation)
        if trial.id not in self._generation:
            self._learn(trial.config, evaluation)
            return
        config, _ = self._generation[trial.id]
        if trial.config != config:  # a replay that drifted
            solution = self._search.solution(self._cube.point(trial.config))
            self._generation[trial.id] = (trial.config, solution)
        self._values[trial.id] = evaluation.value
        if len(self._values) == self._lambda:
            self._update()

    def _learn(self, config: Config, evaluation: Evaluation) -> None:
        """Start the first search at the best configuration that was given before it."""
        settled = self._is_warm or self._generation or self._begun
        if settled or evaluation.value is None or evaluation.error:
            return
        if self._given is None or evaluation.value < self._given:
            self._given = evaluation.value
            self._search = self._start(self._cube.point(config))

    def _sample(self) -> tuple[Config, Any]:
        for _ in range(_TRIES):
            u, solution = self._search.ask()
            config = self._cube.config(u)
            if self._cube.allows(config):
                return config, solution
        config = draw(self._cube, self._rng)
        return config, self._search.solution(self._cube.point(config))

    def _update(self) -> None:
        """Update the search with a complete generation, and begin the next one."""
        known = [value for value in self._values.values() if value is not None]
        worst = max(known, default=0.0)
        solutions = []
        for id, (_, solution) in self._generation.items():
            value = self._values[id]
            told = worst if value is None else value
            solutions.append((solution, min(max(told, -_LARGEST), _LARGEST)))
        self._search.tell(solutions)
        if self._search.should_stop():
            self._lambda = math.ceil(self._lambda * self._restart_factor)
            self._search = self._start(self._rng.random(self._cube.dim))
        self._generation, self._values = {}, {}
        self._begun = True

    def _start(
        self,
        mean: NDArray[np.float64],
        known: Sequence[tuple[NDArray[np.float64], float]] = (),
    ) -> "_Search":
        seed = int(self._rng.integers(2**31))
        how = (self.most_levels, self.always_mixed)
        return _Search(self._cube, mean, self._sigma0, self._lambda, seed, *how, known)


class _Search:
    """One run of CMA-ES or CatCMA with margin, whose points are in the unit cube."""

    def __init__(
        self,
        cube: UnitCube,
        mean: NDArray[np.float64],
        sigma0: float,
        population_size: int,
        seed: int,
        most_levels: int,
        always_mixed: bool,
        known: Sequence[tuple[NDArray[np.float64], float]],
    ) -> None:
        free = cube.n_values > 1
        continuous = free & (cube.n_values > most_levels) & ~cube.categorical
        # CatCMA with margin requires that two-valued parameters are categorical.
        chosen = free & (cube.categorical | (cube.n_values == 2))
        self._dim = cube.dim
        self._continuous = np.flatnonzero(continuous)
        self._ordered = np.flatnonzero(free & ~continuous & ~chosen)
        self._chosen = np.flatnonzero(chosen)
        self._counts = cube.n_values[self._chosen].astype(int)
        self._levels = [_places(int(cube.n_values[axis])) for axis in self._ordered]
        gaussian = np.concatenate([self._continuous, self._ordered])
        self._n_gaussian = len(gaussian)
        mean, sigma, covariance = mean[gaussian], sigma0, np.eye(len(gaussian))
        if known and len(gaussian):
            mean, sigma, covariance = warm_start([(u[gaussian], q) for u, q in known])
        self._search: Any = None  # None if all parameters are constant
        if len(self._continuous) == np.sum(free) > 0 and not always_mixed:
            self._search = cmaes.CMA(
                mean,
                sigma,
                cov=covariance,
                bounds=np.tile([0.0, 1.0], (len(gaussian), 1)),
                seed=seed,
                population_size=population_size,
            )
        elif np.any(free):
            self._search = cmaes.CatCMAwM(
                x_space=[[0.0, 1.0]] * len(self._continuous) or None,
                z_space=self._levels or None,
                c_space=self._counts.tolist() or None,
                population_size=population_size,
                mean=mean,
                sigma=sigma,
                cov=covariance,
                seed=seed,
            )

    def ask(self) -> tuple[NDArray[np.float64], Any]:
        """Return a unit point (dim,), and the library's solution object for telling it."""
        u = np.full(self._dim, 0.5)
        if self._search is None:
            return u, None
        solution = self._search.ask()
        if isinstance(solution, np.ndarray):
            u[self._continuous] = solution
            return u, solution
        if solution.x is not None:
            u[self._continuous] = solution.x
        if solution.z is not None:
            u[self._ordered] = solution.z
        if solution.c is not None:
            u[self._chosen] = (np.argmax(solution.c, axis=1) + 0.5) / self._counts
        return u, solution

    def solution(self, u: NDArray[np.float64]) -> Any:
        """Return the library's solution object for a unit point (dim,) that was not asked."""
        if not isinstance(self._search, cmaes.CatCMAwM):
            return u[self._continuous]
        x, z = u[self._continuous], u[self._ordered]
        one_hot = np.zeros((len(self._chosen), max(self._counts, default=1)), dtype=bool)
        places = np.floor(u[self._chosen] * self._counts).astype(int)
        one_hot[np.arange(len(places)), np.minimum(places, self._counts - 1)] = True
        return self._search.Solution(x, z, one_hot, np.concatenate([x, z]))

    def tell(self, solutions: list[tuple[Any, float]]) -> None:
        if self._search is None:
            return
        with warnings.catch_warnings():
            # CatCMA's boundary penalty warns if all values of the first generation are equal.
            warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
            warnings.filterwarnings("ignore", "invalid value encountered", RuntimeWarning)
            self._search.tell(solutions)

    def should_stop(self) -> bool:
        return self._n_gaussian > 0 and bool(self._search.should_stop())


def warm_start(
    known: Sequence[tuple[NDArray[np.float64], float]],
) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """Return m*, sigma and C of the promising region of earlier points.

    Args:
        known: points (d,) in the unit cube, with values of which smaller ones are better.
    """
    gamma = max(_GAMMA, (1 + 1e-9) / len(known))  # at least one point
    mean, sigma, covariance = cmaes.get_warm_start_mgd(list(known), min(gamma, 1.0), _ALPHA)
    return mean, sigma, covariance


def _places(n_values: int) -> list[float]:
    """Return the midpoints of `n_values` equal intervals of [0, 1]."""
    return [(k + 0.5) / n_values for k in range(n_values)]


def _check_settings(sigma0: float, population_size: int | None, restart_factor: float) -> None:
    """Raise `ValueError` if a setting is out of its range."""
    expected.number("cma_es.sigma0", sigma0, above=0, most=1)
    expected.null_or(expected.whole, "cma_es.population_size", population_size, 3, _LARGEST_SIZE)
    expected.number("cma_es.restart_factor", restart_factor, least=1)
