"""A minimal promoting optimizer and a minimal objective with fidelities."""

import math
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace

from objectives.objective import Objective
from objectives.space import UnitCube, build_space, check
from objectives.trial import Evaluation, Fidelities, Trial
from optimizers.optimizer import Optimizer
from optimizers.random_search import draw


class Promoting(Optimizer):
    """Asynchronous successive halving: the best third of a rung is promoted to the next.

    Li et al., A System for Massively Parallel Hyperparameter Tuning (MLSys 2020), algorithm 2; a
    promoted trial resumes the previous one.
    """

    def __init__(
        self, space: ConfigurationSpace, *, seed: int, fidelities: Fidelities, eta: int = 3
    ) -> None:
        super().__init__(space, seed=seed)
        self._cube, self._rng = UnitCube(space), np.random.default_rng(seed)
        self._rungs, self._eta = fidelities.grid, eta
        self._told: list[dict[int, tuple[float, Trial]]] = [{} for _ in self._rungs]
        self._promoted: set[int] = set()

    def ask(self, n: int = 1) -> list[Trial]:
        return [self._promotion() or self._new() for _ in range(n)]

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        rung = min(range(len(self._rungs)), key=lambda i: abs(self._rungs[i] - trial.fidelity))
        failed = evaluation.error is not None or evaluation.value is None
        value = math.inf if failed or evaluation.value is None else evaluation.value
        self._told[rung][trial.id] = value, trial

    def _promotion(self) -> Trial | None:
        for rung in reversed(range(len(self._rungs) - 1)):
            told = sorted(self._told[rung].items(), key=lambda item: (item[1][0], item[0]))
            for id, (value, trial) in told[: len(told) // self._eta]:
                if id not in self._promoted and math.isfinite(value):
                    self._promoted.add(id)
                    return self._trial(trial.config, self._rungs[rung + 1], resumes=id)
        return None

    def _new(self) -> Trial:
        return self._trial(draw(self._cube, self._rng), self._rungs[0])


GRID = Fidelities((1 / 9, 1 / 3, 1.0))


class Learning(Objective):
    """A parabola that is more accurate at higher fidelities; every fifth trial fails."""

    cheap = True
    space = build_space({"x": {"type": "float", "lower": 0.0, "upper": 1.0}})
    fidelities: Fidelities | None = GRID

    def __init__(self, **settings: Any) -> None:
        self.evaluated: list[int] = []

    def evaluate(self, trial: Trial) -> Evaluation:
        check(self.space, trial.config)
        self.evaluated.append(trial.id)
        if trial.id % 5 == 4:
            raise RuntimeError("every fifth fails")
        x = trial.config["x"]
        assert isinstance(x, float)
        blur = (1 - trial.fidelity) * math.sin(40 * x) / 10
        return Evaluation((x - 0.37) ** 2 + blur, trial.fidelity)
