"""Sobol sequence, scrambled: Owen, J. Complexity 14 (1998), as scipy implements it.

The points fill the cube ever more evenly, so a run can be extended: the sequence goes on.
Balance is best at powers of two.

Departure: points that are forbidden combinations, or break a rule of the space, are skipped; after
10,000 of them in a row, a random one that is allowed is taken.
"""

import numpy as np
from ConfigSpace import ConfigurationSpace

from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Trial
from optimizers.light_qmc import qmc
from optimizers.optimizer import Optimizer
from optimizers.random_search import draw

_SKIPPED = 10_000  # points in a row


class Sobol(Optimizer):
    """Serves the points of one scrambled Sobol sequence in their order."""

    def __init__(self, space: ConfigurationSpace, *, seed: int, scramble: bool) -> None:
        super().__init__(space, seed=seed)
        if not isinstance(scramble, bool):
            raise ValueError(f"sobol.scramble: expected true or false, got {scramble!r}")
        self._cube = UnitCube(space)
        self._rng = np.random.default_rng([seed, 1])
        self._sequence = qmc.Sobol(
            self._cube.dim, scramble=scramble, rng=np.random.default_rng(seed)
        )

    def ask(self, n: int = 1) -> list[Trial]:
        return [self._trial(self._next()) for _ in range(n)]

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        pass  # what is asked does not depend on it

    def _next(self) -> Config:
        for _ in range(_SKIPPED):
            # One at a time: scipy warns where a first draw is no power of two.
            config = self._cube.config(self._sequence.random(1)[0])
            if self._cube.allows(config):
                return config
        return draw(self._cube, self._rng)
