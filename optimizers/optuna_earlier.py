"""Studies of Optuna that hold the trials of earlier tasks beside those of a run.

Optuna's samplers learn from trials that `Study.add_trials` adds, as its users do with the trials of
an earlier study. A value counts by its quantile within its own task (`optimizers/quantiles.py`), so
that tasks of different scales can be mixed. The quantiles of the run's own trials change with each
evaluation, so a study is built anew before an ask that follows a tell.
"""

from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.trial import TrialState

from objectives.trial import Config, EarlierTask, Evaluation
from optimizers.quantiles import quantiles

SAMPLERS = ("GPSampler", "TPESampler")
"""The samplers that learn from the trials of a study alone, without attributes of their own."""

Frozen = Callable[[Config, Any, list[float] | None], Any]
"""Makes a trial of Optuna's from a configuration, a state and its values."""


class StudyWithEarlier:
    """Builds studies of the trials of earlier tasks and of a run.

    Args:
        sampler: the sampler of the studies.
        frozen: makes a trial.
        tasks: the earlier tasks.
    """

    def __init__(self, sampler: Any, frozen: Frozen, tasks: Sequence[EarlierTask]) -> None:
        self._sampler, self._frozen = sampler, frozen
        self._earlier = [
            trial for task in tasks for trial in self._valued(task.configs, task.evaluations)
        ]
        self._told: list[tuple[Config, Evaluation]] = []

    def tell(self, config: Config, evaluation: Evaluation) -> None:
        """Add an evaluation of the run."""
        self._told.append((config, evaluation))

    def study(self, pending: Sequence[Config]) -> Any:
        """Return a study of all told trials; the pending ones are running."""
        configs, evaluations = zip(*self._told, strict=True) if self._told else ((), ())
        own = self._valued(configs, evaluations)
        running = [self._frozen(config, TrialState.RUNNING, None) for config in pending]
        study = optuna.create_study(sampler=self._sampler)
        study.add_trials([*self._earlier, *own, *running])
        return study

    def _valued(self, configs: Sequence[Config], evaluations: Sequence[Evaluation]) -> list[Any]:
        """Return the trials of one task; they have failed if none of them succeeded."""
        shares = quantiles(evaluations)
        if shares is None:
            return [self._frozen(config, TrialState.FAIL, None) for config in configs]
        return [
            self._frozen(config, TrialState.COMPLETE, [share])
            for config, share in zip(configs, shares.tolist(), strict=True)
        ]
