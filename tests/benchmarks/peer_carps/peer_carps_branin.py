"""Branin as a CARP-S objective function, for `task/peer_branin.yaml`."""

import time
from typing import Any

from carps.objective_functions.objective_function import ObjectiveFunction
from carps.utils.trials import TrialInfo, TrialValue
from ConfigSpace import ConfigurationSpace, Float
from peer_branin import BOUNDS, branin


class Branin(ObjectiveFunction):
    """Two floats, in a space seeded with the run's seed, as CARP-S does for BBOB."""

    def __init__(self, seed: int, loggers: Any = None) -> None:
        super().__init__(loggers)
        self._space = ConfigurationSpace(seed=seed)
        self._space.add([Float(name, bounds=ends) for name, ends in BOUNDS.items()])

    @property
    def configspace(self) -> ConfigurationSpace:
        return self._space

    def _evaluate(self, trial_info: TrialInfo) -> TrialValue:
        started = time.time()
        cost = branin(**dict(trial_info.config))
        ended = time.time()
        return TrialValue(cost=cost, time=ended - started, starttime=started, endtime=ended)
