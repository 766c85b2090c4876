"""Latin hypercube sampling: McKay, Beckman & Conover, Technometrics 21 (1979).

A design of n points has one point in each of the n equal strata of every axis. n is the budget, so
the run cannot be extended, because a larger design would have other strata. After the last point of
the design, `ask` returns an empty list.

Departure: a point that is a forbidden combination swaps coordinates with other points of the
design, which preserves one point per stratum. If no swap helps, the point is drawn anew.
"""

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from objectives import expected
from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Trial
from optimizers.optimizer import Optimizer
from optimizers.random_search import draw

_SWAPS = 100  # the largest number of swaps that are tried for each forbidden point
_OPTIMIZATIONS = ("random-cd", "lloyd")
LARGEST_DESIGN = 1_000_000  # points


class LatinHypercube(Optimizer):
    """Proposes the points of one Latin hypercube design, one point per evaluation of the budget."""

    extendable = False
    adaptive = False

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        budget: float,
        scramble: bool,
        optimization: str | None,
    ) -> None:
        super().__init__(space, seed=seed)
        n_points = design_size("lhs", budget)
        expected.switch("lhs.scramble", scramble)
        expected.null_or(expected.one_of, "lhs.optimization", optimization, _OPTIMIZATIONS)
        rng = np.random.default_rng(seed)
        cube = UnitCube(space)
        if optimization is None:
            points = _design(n_points, cube.dim, scramble, rng)
        else:
            points = _optimized_design(n_points, cube.dim, scramble, optimization, rng)
        self._design = _allowed(cube, points, rng)
        self._n_served = 0

    def ask(self, n: int = 1) -> list[Trial]:
        served = self._design[self._n_served : self._n_served + n]
        self._n_served += len(served)
        return [self._trial(config) for config in served]

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        pass  # the proposals do not depend on the evaluations


def design_size(where: str, budget: float) -> int:
    """Return the number of full evaluations that a budget pays for.

    Raises:
        ValueError: the budget is not a number of at least 1, or its design would not fit in memory.
    """
    return int(expected.number(f"{where}.budget", budget, least=1, most=LARGEST_DESIGN))


def _design(n: int, dim: int, scramble: bool, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the same design (n, dim) as `scipy.stats.qmc`, whose import would take 0.2 s of CPU.

    On each axis, point i lies in stratum p_i, where p is a random permutation of 1..n. It is at the
    midpoint of the stratum or, if `scramble` is set, anywhere in it.
    """
    (rng,) = rng.spawn(1)  # as in SciPy
    offsets: NDArray[np.float64] | float = rng.uniform(size=(n, dim)) if scramble else 0.5
    strata = np.tile(np.arange(1, n + 1), (dim, 1))  # (dim, n)
    for axis in strata:
        rng.shuffle(axis)
    return np.asarray((strata.T - offsets) / n, dtype=np.float64)


def _optimized_design(
    n: int, dim: int, scramble: bool, optimization: str, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return a design (n, dim) that SciPy has optimized to be more even."""
    from optimizers.light_qmc import qmc

    sampler = qmc.LatinHypercube(dim, scramble=scramble, optimization=optimization, rng=rng)
    points: NDArray[np.float64] = sampler.random(n)
    return points


def _allowed(cube: UnitCube, points: NDArray[np.float64], rng: np.random.Generator) -> list[Config]:
    """Return the configurations of `points` (n, dim), with swaps or draws for forbidden ones."""
    configs = [cube.config(point) for point in points]
    for i in range(len(points)):
        for _ in range(_SWAPS):
            if cube.allows(configs[i]):
                break
            j, axis = int(rng.integers(len(points))), int(rng.integers(cube.dim))
            swapped = points[[i, j]]
            swapped[:, axis] = swapped[::-1, axis].copy()
            theirs = cube.config(swapped[1])
            if cube.allows(theirs) or not cube.allows(configs[j]):
                points[[i, j]] = swapped
                configs[i], configs[j] = cube.config(swapped[0]), theirs
        if not cube.allows(configs[i]):
            configs[i] = draw(cube, rng)
    return configs
