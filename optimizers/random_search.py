"""Uniform random search: Bergstra & Bengio, JMLR 13 (2012).

It is the baseline for every other optimizer.

Departure: configurations are uniform in the unit cube. Parameters on a log scale are therefore
uniform in their logarithm, and every integer and every choice is equally likely. Forbidden
combinations are drawn again.
"""

import numpy as np
from ConfigSpace import ConfigurationSpace

from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Trial
from optimizers.optimizer import Optimizer


def draw(cube: UnitCube, rng: np.random.Generator) -> Config:
    """Draw an allowed configuration uniformly from the unit cube."""
    return cube.config(cube.draw(rng)[0])


class RandomSearch(Optimizer):
    """Draws every configuration independently of all others."""

    adaptive = False

    def __init__(self, space: ConfigurationSpace, *, seed: int) -> None:
        super().__init__(space, seed=seed)
        self._cube = UnitCube(space)
        self._rng = np.random.default_rng(seed)

    def ask(self, n: int = 1) -> list[Trial]:
        return [self._trial(draw(self._cube, self._rng)) for _ in range(n)]

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        pass  # the proposals do not depend on the evaluations
