"""Embed another objective in a space with additional parameters that have no effect."""

from dataclasses import replace

import numpy as np

from objectives import expected
from objectives.draws import draws
from objectives.objective import Objective
from objectives.space import UnitCube, build_space, check
from objectives.trial import Config, Evaluation, Trial
from objectives.wrappers.wrapper import Wrapper


class Embedded(Wrapper):
    """Hides the parameters of another objective among many others, which have no effect.

    The parameters are x1, ..., xD in [0, 1]. The seed chooses which of them belong to the inner
    objective, and in what order. Each of these is the coordinate on the inner parameter's axis of
    the unit cube.

    Attributes:
        places: (d,) the axis of each of the inner objective's parameters, counted from 0.
    """

    def __init__(self, *, inner: Objective, dimension: int, seed: int) -> None:
        """Wrap `inner`.

        Args:
            inner: any objective.
            dimension: D, at least the number of the inner objective's parameters.
            seed: the seed of the choice of the axes.

        Raises:
            ValueError: `dimension` is too small or not an integer, or `seed` is not an integer >=
                0.
        """
        super().__init__(inner)
        self._inner_cube = UnitCube(inner.space)
        self.dimension = expected.whole("dimension", dimension, self._inner_cube.dim)
        self.seed = expected.whole("seed", seed, 0)
        self.places = draws(self.seed).permutation(self.dimension)[: self._inner_cube.dim]
        self._names = [f"x{axis}" for axis in range(1, self.dimension + 1)]
        axis = {"type": "float", "lower": 0.0, "upper": 1.0}
        self.space = build_space({name: axis for name in self._names})
        self.default = None
        self.minimisers = tuple(self._outer(config) for config in inner.minimisers)
        self.fidelities = inner.fidelities and replace(inner.fidelities, changeable=())

    def evaluate(self, trial: Trial) -> Evaluation:
        return self.inner.evaluate(self._inner_trial(trial))

    def test(self, trial: Trial) -> dict[str, float]:
        return self.inner.test(self._inner_trial(trial))

    def _outer(self, config: Config) -> Config:
        """Return a configuration that corresponds to one of the inner objective."""
        point = np.full(self.dimension, 0.5)
        point[self.places] = self._inner_cube.point(config)
        return dict(zip(self._names, point.tolist(), strict=True))

    def _inner_trial(self, trial: Trial) -> Trial:
        check(self.space, trial.config)
        point = np.array([trial.config[name] for name in self._names], dtype=float)
        return replace(trial, config=self._inner_cube.config(point[self.places]))
