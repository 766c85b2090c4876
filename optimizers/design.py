"""The base of the optimizers that propose a fixed list of configurations."""

from ConfigSpace import ConfigurationSpace

from objectives.trial import Config, Evaluation, Trial
from optimizers.optimizer import Optimizer


class Design(Optimizer):
    """Proposes the configurations of a design in their order; a subclass sets `_design`."""

    extendable = False
    adaptive = False

    def __init__(self, space: ConfigurationSpace, *, seed: int) -> None:
        super().__init__(space, seed=seed)
        self._design: list[Config] = []
        self._n_proposed = 0

    def ask(self, n: int = 1) -> list[Trial]:
        proposed = self._design[self._n_proposed : self._n_proposed + n]
        self._n_proposed += len(proposed)
        return [self._trial(config) for config in proposed]

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        pass  # the proposals do not depend on the evaluations
