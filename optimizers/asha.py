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

from typing import Unpack

from ConfigSpace import ConfigurationSpace

from objectives.trial import Config, Evaluation, Fidelities, Trial
from optimizers.promoting import LadderSettings, PromotingOptimizer, value_of


class Asha(PromotingOptimizer):
    """Promotes without waiting for a rung to fill."""

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        fidelities: Fidelities | None,
        **ladder: Unpack[LadderSettings],
    ) -> None:
        super().__init__(space, fidelities=fidelities, **ladder)
        self._rung_of: dict[int, int] = {}
        self._told: list[dict[int, tuple[float, Config]]] = [{} for _ in self._rungs]
        self._promoted: set[int] = set()

    def ask(self, n: int = 1) -> list[Trial]:
        return [self._next() for _ in range(n)]

    def _next(self) -> Trial:
        """Return a promotion, or a new configuration (Alg. 2, lines 12 to 22)."""
        for rung in reversed(range(len(self._rungs) - 1)):  # line 13: top down
            best = self._promotable(rung)
            if best is not None:
                self._promoted.add(best)
                config = self._told[rung][best][1]
                return self._asked(rung + 1, config, best)
        return self._asked(0, self._new_config(), None)

    def _promotable(self, rung: int) -> int | None:
        """Return the best trial among the top 1/eta of a rung that was not promoted (line 14)."""
        told = self._told[rung]
        top = sorted((value, id) for id, (value, _) in told.items())[: len(told) // self._eta]
        for value, id in top:
            if id not in self._promoted and value < float("inf"):
                return id
        return None

    def _asked(self, rung: int, config: Config, promoted: int | None) -> Trial:
        trial = self._trial_at(self._rungs[rung], config, promoted)
        self._rung_of[trial.id] = rung
        return trial

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        rung = self._rung_of.get(trial.id)
        if rung is None:
            return  # a trial of a replay that drifted
        self._told[rung][trial.id] = value_of(evaluation), trial.config
