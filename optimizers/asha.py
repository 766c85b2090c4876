"""Asynchronous successive halving: Li et al., "A System for Massively Parallel Hyperparameter
Tuning", MLSys 2020, Algorithm 2 (get_job).

Whenever a worker is free, a configuration is promoted from the highest rung that has a promotable
one. A configuration is promotable if it is among the best floor(|rung| / eta) of the rung's
evaluations and was not promoted yet. If no rung has a promotable configuration, a new one enters
the lowest rung. No worker ever waits.

A promoted trial resumes the previous one and costs the difference of their fidelities, if the
objective can continue an evaluation; otherwise it is a new one and costs its own fidelity. A failed
trial counts towards the size of its rung and is never promoted.
"""

import numpy as np
from ConfigSpace import ConfigurationSpace

from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Fidelities, Trial
from optimizers.optimizer import Optimizer
from optimizers.rungs import ladder


class Asha(Optimizer):
    """Promotes without waiting for a rung to fill.

    Args:
        fidelities: the fidelities of the objective.
        eta: one configuration in eta is promoted.
        least: the lowest fidelity to use; None means the objective's lowest.

    Raises:
        ValueError: a setting is invalid, or the objective has no fidelities.
    """

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        fidelities: Fidelities | None,
        eta: int,
        least: float | None,
    ) -> None:
        super().__init__(space, seed=seed)
        self._shares = ladder(fidelities, eta, least)
        self._resumes = fidelities is not None and fidelities.resumable
        self._eta = eta
        self._cube = UnitCube(space)
        self._rng = np.random.default_rng(seed)
        self._rung_of: dict[int, int] = {}
        self._told: list[dict[int, tuple[float, Config]]] = [{} for _ in self._shares]
        self._promoted: set[int] = set()

    def ask(self, n: int = 1) -> list[Trial]:
        return [self._next() for _ in range(n)]

    def _next(self) -> Trial:
        """Return a promotion, or a new configuration (Alg. 2, lines 12 to 22)."""
        for rung in reversed(range(len(self._shares) - 1)):  # line 13: top down
            found = self._promotable(rung)
            if found is not None:
                self._promoted.add(found)
                config = self._told[rung][found][1]
                return self._asked(rung + 1, config, found)
        return self._asked(0, self._cube.config(self._cube.draw(self._rng)[0]), None)

    def _promotable(self, rung: int) -> int | None:
        """Return the best trial among the top 1/eta of a rung that was not promoted (line 14)."""
        told = self._told[rung]
        top = sorted((value, id) for id, (value, _) in told.items())[: len(told) // self._eta]
        for value, id in top:
            if id not in self._promoted and value < float("inf"):
                return id
        return None

    def _asked(self, rung: int, config: Config, resumes: int | None) -> Trial:
        continued = resumes if self._resumes else None
        trial = self._trial(config, self._shares[rung], continued)
        self._rung_of[trial.id] = rung
        return trial

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        rung = self._rung_of.get(trial.id)
        if rung is None:
            return  # a trial of a replay that drifted
        failed = evaluation.error is not None or evaluation.value is None
        value = float("inf") if failed or evaluation.value is None else evaluation.value
        self._told[rung][trial.id] = value, trial.config
