"""Known good configurations first: any optimizer, which then goes on with what they taught it."""

from collections.abc import Sequence

from objectives.trial import Config, Evaluation, Trial
from optimizers.optimizer import Optimizer


class StartPoints(Optimizer):
    """Asks for given configurations, in full evaluations, and then for what an optimizer proposes.

    The optimizer is told the evaluations of the given configurations like its own, so that it
    learns from them. Its own trials are numbered after them. A design such as a Latin hypercube
    stays as it is and begins later.

    Args:
        optimizer: a fresh optimizer that has not been asked for a trial.
        configs: configurations of its space.
    """

    def __init__(self, optimizer: Optimizer, configs: Sequence[Config]) -> None:
        super().__init__(optimizer.space, seed=optimizer.seed)
        self._optimizer = optimizer
        self._waiting = [self._trial(config) for config in configs]
        if self._waiting:
            optimizer.skip(self._waiting[-1].id)
        self.extendable = optimizer.extendable
        self.version = optimizer.version

    def ask(self, n: int = 1) -> list[Trial]:
        first, self._waiting = self._waiting[:n], self._waiting[n:]
        rest = n - len(first)
        return first + (self._optimizer.ask(rest) if rest > 0 else [])

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        self._optimizer.tell(trial, evaluation)

    def refuse(self, trial: Trial) -> None:
        self._optimizer.refuse(trial)

    def close(self) -> None:
        self._optimizer.close()

    def skip(self, id: int) -> None:
        super().skip(id)
        self._optimizer.skip(id)
