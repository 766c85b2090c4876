"""Latin hypercube sampling: McKay, Beckman & Conover, Technometrics 21 (1979).

A design of n points has one point in each of the n equal strata of every axis. n is the budget,
so the run cannot be extended: a longer one has other strata. When the design is used up, `ask`
returns nothing.

Departure: a point that is a forbidden combination swaps coordinates with other points of the
design, which keeps one point per stratum; where no swap helps, it is drawn anew.
"""

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Trial
from optimizers.optimizer import Optimizer
from optimizers.random_search import draw

_SWAPS = 100  # tries per forbidden point
_OPTIMIZATIONS = (None, "random-cd", "lloyd")


class LatinHypercube(Optimizer):
    """Serves one Latin hypercube design of as many points as the budget has evaluations."""

    extendable = False

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
        if not isinstance(scramble, bool):
            raise ValueError(f"lhs.scramble: expected true or false, got {scramble!r}")
        if optimization not in _OPTIMIZATIONS:
            raise ValueError(
                f"lhs.optimization: expected null, random-cd or lloyd, got {optimization!r}"
            )
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
        pass  # what is asked does not depend on it


def design_size(where: str, budget: float) -> int:
    """Return how many full evaluations a budget pays for.

    Raises:
        ValueError: it pays for none.
    """
    if isinstance(budget, bool) or not isinstance(budget, (int, float)) or not budget >= 1:
        raise ValueError(f"{where}.budget: expected a number of at least 1, got {budget!r}")
    return int(budget)


def _design(n: int, dim: int, scramble: bool, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a design (n, dim), the same as `scipy.stats.qmc`'s, whose import takes .2 s of CPU.

    On each axis, point i lies in stratum p_i of a random permutation p of 1..n: at its middle, or
    where scrambled, anywhere in it.
    """
    (rng,) = rng.spawn(1)  # as scipy does
    offsets: NDArray[np.float64] | float = rng.uniform(size=(n, dim)) if scramble else 0.5
    strata = np.tile(np.arange(1, n + 1), (dim, 1))  # (dim, n)
    for axis in strata:
        rng.shuffle(axis)
    return np.asarray((strata.T - offsets) / n, dtype=np.float64)


def _optimized_design(
    n: int, dim: int, scramble: bool, optimization: str, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return a design (n, dim) that scipy has spread more evenly."""
    from optimizers.light_qmc import qmc

    sampler = qmc.LatinHypercube(dim, scramble=scramble, optimization=optimization, rng=rng)
    points: NDArray[np.float64] = sampler.random(n)
    return points


def _allowed(cube: UnitCube, points: NDArray[np.float64], rng: np.random.Generator) -> list[Config]:
    """Return the configurations of `points` (n, dim), which are changed where one is forbidden."""
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
