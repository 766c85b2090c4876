"""A BaMSOO that records its bounds, and one whose model follows a script."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from objectives.space import UnitCube, build_space
from objectives.trial import Evaluation, Trial
from optimizers.bamsoo import BaMSOO
from optimizers.gaussian_process import GaussianProcess
from optimizers.partition import Cell, Centre

Floats = NDArray[np.float64]


def unit_space(dim: int) -> ConfigurationSpace:
    return build_space({f"x{i}": {"type": "float", "lower": 0.0, "upper": 1.0} for i in range(dim)})


def bowl_value(trial: Trial) -> float:
    """Return a bowl with ripples; its minimum lies on no centre of the first levels."""
    x = np.array([float(value) for value in trial.config.values()])
    return float(np.sum((x - 0.37) ** 2) + 0.05 * np.sum(1 - np.cos(20 * (x - 0.37))))


class Bound(NamedTuple):
    """The inputs and the results of the N-th bound."""

    n: int
    mean: float
    sd: float
    best: float
    approximated: bool
    score: float | None


class Watched(BaMSOO):
    """BaMSOO that records every bound and every expansion."""

    def __init__(self, space: ConfigurationSpace, **settings: Any) -> None:
        defaults: dict[str, Any] = {
            "k": 3,
            "eta": 0.05,
            "refit_every": 5,
            "resolve": "never",
            "max_approximations": 500,
        }
        super().__init__(space, seed=0, **{**defaults, **settings})
        self.bounds: list[Bound] = []
        self.expanded_approximated: list[bool] = []
        self.longest_row = 0
        self.asked_trials: list[Trial] = []
        self.told_values: list[float] = []

    def use(self, model: GaussianProcess) -> None:
        self._model = model

    def ask(self, n: int = 1) -> list[Trial]:
        trials = super().ask(n)
        self.asked_trials += trials
        return trials

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        super().tell(trial, evaluation)
        if evaluation.value is not None:
            self.told_values.append(evaluation.value)

    def approximated(self) -> list[dict[str, Any]]:
        return [dict(c.config) for c in self._tree.centres.values() if c.estimated]

    def n_data(self) -> int:
        return len(self._data)

    def score(self, config: dict[str, Any]) -> float | None:
        return self._tree.centre_of(config).value

    def _bound(self, centres: list[Centre], best: float) -> None:
        first = self._n_bounds + 1
        assert best == min(self.told_values)
        super()._bound(centres, best)
        mean, sd = self._model.posterior(
            np.array([self._cube.point(centre.config) for centre in centres])
        )
        (least,) = self._model.standardised(np.array([best]))
        for i, centre in enumerate(centres):
            self.bounds.append(
                Bound(first + i, mean[i], sd[i], least, centre.estimated, centre.value)
            )
        self.longest_row = max(self.longest_row, self._n_approximated)

    def _visit(self, leaf: Cell) -> bool:
        approximated = leaf.centre.estimated
        decided = super()._visit(leaf)
        if decided:
            self.expanded_approximated.append(approximated)
        return decided


class Scripted(GaussianProcess):
    """A model with constant mean and standard deviation, which counts its calls."""

    def __init__(self, space: ConfigurationSpace, mean: float, sd: float) -> None:
        super().__init__(UnitCube(space))
        self.answer = (mean, sd)
        self.sizes: list[int] = []
        self.fits: list[tuple[int, bool]] = []
        self.values: list[float] = []

    def fit(self, u: Floats, y: Floats, *, refit: bool) -> None:
        self.fits.append((len(u), refit))
        self.values = y.tolist()

    def posterior(self, u: Floats) -> tuple[Floats, Floats]:
        self.sizes.append(len(u))
        mean, sd = self.answer
        return np.full(len(u), mean), np.full(len(u), sd)

    def natural(self, z: Floats) -> Floats:
        return z

    def standardised(self, y: Floats) -> Floats:
        return y


def scripted(mean: float, sd: float, dim: int = 1, **settings: Any) -> tuple[Watched, Scripted]:
    space = unit_space(dim)
    optimizer = Watched(space, **settings)
    model = Scripted(space, mean, sd)
    optimizer.use(model)
    return optimizer, model


def bowl_at(seed: int) -> Callable[[Trial], float]:
    """Return the bowl with its minimum anywhere in the square."""
    centre = np.random.default_rng(seed).uniform(0.1, 0.9, 2)

    def bowl(trial: Trial) -> float:
        x = np.array([float(value) for value in trial.config.values()]) - centre
        return float(np.sum(x**2) + 0.05 * np.sum(1 - np.cos(20 * x)))

    return bowl
