"""The base of the optimizers that promote configurations from one fidelity to the next."""

from typing import TypedDict

import numpy as np
from ConfigSpace import ConfigurationSpace

from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Fidelities, Trial
from optimizers.optimizer import Optimizer
from optimizers.rungs import ladder


class LadderSettings(TypedDict):
    """The settings of `PromotingOptimizer`, which its subclasses pass on."""

    seed: int
    eta: int
    least: float | None


class PromotingOptimizer(Optimizer):
    """Draws configurations at random, and knows the rungs on which they are evaluated.

    Args:
        fidelities: the fidelities of the objective.
        eta: one configuration in eta is promoted; the rungs are powers of 1 / eta.
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
        self._rungs = ladder(fidelities, eta, least)
        self._resumes = fidelities is not None and fidelities.resumable
        self._eta = eta
        self._cube = UnitCube(space)
        self._rng = np.random.default_rng(seed)

    def _new_config(self) -> Config:
        """Return a new configuration for the lowest rung."""
        return self._cube.config(self._cube.draw(self._rng)[0])

    def _trial_at(self, share: float, config: Config, promoted: int | None) -> Trial:
        """Return a trial at a share; it resumes the promoted one if the objective can do so."""
        return self._trial(config, share, promoted if self._resumes else None)


def value_of(evaluation: Evaluation) -> float:
    """Return the value of an evaluation; infinity if it failed, so that it is never promoted."""
    failed = evaluation.error is not None or evaluation.value is None
    return float("inf") if failed or evaluation.value is None else evaluation.value
