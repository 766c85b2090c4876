"""Full factorial grid over the unit cube, with as many levels per axis as the budget pays for.

The levels of an axis are the midpoints of equal intervals; a discrete axis has at most one level
per value. All axes start with one level. The axis with the fewest levels (on ties, the one declared
first) repeatedly receives one more, as long as the number of points stays within the budget.
Because the grid depends on the budget, the run cannot be extended. Configurations that coincide
because parameters are inactive are proposed once, and forbidden combinations are left out. Only
the remaining points count against the budget.
"""

import math
from itertools import product

import numpy as np
from ConfigSpace import ConfigurationSpace

from objectives import expected
from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Trial
from optimizers.lhs import design_size
from optimizers.optimizer import Optimizer

_EXCESS = 8  # the largest ratio of all grid points to the wanted distinct and allowed points
_ORDERS = ("shuffled", "lexicographic")


class Grid(Optimizer):
    """Proposes every point of one grid, in random or in lexicographic order."""

    extendable = False
    adaptive = False

    def __init__(self, space: ConfigurationSpace, *, seed: int, budget: float, order: str) -> None:
        super().__init__(space, seed=seed)
        n_points = design_size("grid", budget)
        expected.one_of("grid.order", order, _ORDERS)
        self._design = _largest(UnitCube(space), n_points)
        if order == "shuffled":
            places = np.random.default_rng(seed).permutation(len(self._design))
            self._design = [self._design[place] for place in places]
        self._n_served = 0

    def ask(self, n: int = 1) -> list[Trial]:
        served = self._design[self._n_served : self._n_served + n]
        self._n_served += len(served)
        return [self._trial(config) for config in served]

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        pass  # the proposals do not depend on the evaluations


def _largest(cube: UnitCube, n_points: int) -> list[Config]:
    """Return the largest grid of at most `n_points`, with level counts as equal as possible."""
    shares = [1] * cube.dim
    grid = _points(cube, shares)
    open_axes = set(range(cube.dim))
    while open_axes:
        axis = min(open_axes, key=lambda axis: (shares[axis], axis))
        wider = shares.copy()
        wider[axis] += 1
        fits = wider[axis] <= cube.n_values[axis] and math.prod(wider) <= _EXCESS * n_points
        larger = _points(cube, wider) if fits else []
        if fits and len(larger) <= n_points:
            shares, grid = wider, larger
        else:
            open_axes.remove(axis)
    return grid


def _points(cube: UnitCube, shares: list[int]) -> list[Config]:
    """Return the distinct allowed configurations of axes divided into `shares` (dim,) intervals."""
    levels = [_levels(cube, axis, n) for axis, n in enumerate(shares)]
    configs = {tuple(config.items()): config for config in map(cube.config, product(*levels))}
    return [config for config in configs.values() if cube.allows(config)]


def _levels(cube: UnitCube, axis: int, n_shares: int) -> list[float]:
    """Return the midpoints of `n_shares` equal intervals, snapped to distinct values.

    On a logarithmic integer axis the values have intervals of unequal width. Two midpoints may then
    snap to the same value, which becomes one level.
    """
    u = np.full(cube.dim, 0.5)
    levels = []
    for share in range(n_shares):
        u[axis] = (share + 0.5) / n_shares
        config = cube.config(u)
        place = u if cube.names[axis] not in config else cube.point(config)
        levels.append(float(place[axis]))
    return list(dict.fromkeys(levels))
