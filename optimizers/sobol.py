"""Scrambled Sobol sequence: Owen, J. Complexity 14 (1998), in the implementation of SciPy.

The sequence fills the cube ever more evenly. A run can be extended, because the sequence simply
continues. The points are most balanced if their number is a power of two.

Departure: points that are forbidden combinations or break a rule of the space are skipped. After
10,000 such points in a row, a random allowed point is used.
"""

import numpy as np
from ConfigSpace import ConfigurationSpace

from objectives import expected
from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Trial
from optimizers.light_qmc import qmc
from optimizers.optimizer import Optimizer
from optimizers.random_search import draw

_SKIPPED = 10_000  # the largest number of points that are skipped in a row


class Sobol(Optimizer):
    """Proposes the points of one Sobol sequence in their order."""

    adaptive = False

    def __init__(self, space: ConfigurationSpace, *, seed: int, scramble: bool) -> None:
        super().__init__(space, seed=seed)
        expected.switch("sobol.scramble", scramble)
        self._cube = UnitCube(space)
        self._rng = np.random.default_rng([seed, 1])
        self._sequence = qmc.Sobol(
            self._cube.dim, scramble=scramble, rng=np.random.default_rng(seed)
        )

    def ask(self, n: int = 1) -> list[Trial]:
        return [self._trial(self._next()) for _ in range(n)]

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        pass  # the proposals do not depend on the evaluations

    def _next(self) -> Config:
        for _ in range(_SKIPPED):
            # Draw one point at a time: SciPy warns if a first draw is not a power of two.
            config = self._cube.config(self._sequence.random(1)[0])
            if self._cube.allows(config):
                return config
        return draw(self._cube, self._rng)
