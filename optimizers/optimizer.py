"""The interface of optimizers. An optimizer knows the space, but not the objective."""

from abc import ABC, abstractmethod
from functools import wraps
from pathlib import Path
from typing import Any

from ConfigSpace import ConfigurationSpace

from objectives.trial import Config, Evaluation, Trial


class Optimizer(ABC):
    """Minimises a value by proposing trials (`ask`) and receiving their evaluations (`tell`).

    `tests/test_optimizer_conformance.py` checks the following rules for every plug-in:

    - An optimizer is deterministic: the same seed, asks and tells give the same trials in any
      process. Its random numbers come from `np.random.default_rng(seed)`; a library receives an
      integer drawn from it as its seed. An optimizer is never saved or loaded, because a run is
      resumed by replaying its log.
    - A failed evaluation has an `error`, and its `value` is None or a finite penalty. An optimizer
      must cope with any number of failures, even if all evaluations fail.
    - If a replay drifts (because of another BLAS or another library version), `tell` receives the
      logged trial. It may have another configuration than the asked trial of this id, or an id
      that was never asked. An optimizer must therefore learn from `trial.config` and use
      `trial.id` only to identify trials.

    Attributes:
        extendable: whether a run can be continued with a larger budget. It is False if the design
            depends on the budget.
        adaptive: whether the proposals depend on the evaluations. Where they do not, the optimizer
            runs on any goals and limits.
        version: the version of the algorithm. The author increments it when the same seed and
            evaluations give other trials; a log of another version is not resumed.
        own: whether it is this suite's own method and not one of the literature or of a library.
            Tables and pictures mark it, because its authors also judge it.
        slow: whether an ask takes more than 50 ms of CPU time after a dozen evaluations. The
            conformance suite then leaves what takes longest to `make test-slow`.
        folder: the folder of the run, which is set before the first ask. What an optimizer writes
            there is not part of the log: only what cannot be computed again from the seed and the
            evaluations belongs there.
    """

    extendable: bool = True
    adaptive: bool = True
    version: int = 1
    own: bool = False
    slow: bool = False
    folder: Path | None = None

    def __init__(self, space: ConfigurationSpace, *, seed: int) -> None:
        self.space = space
        self.seed = seed
        self._n_trials = 0
        self._worst: float | None = None

    def __init_subclass__(cls, **settings: Any) -> None:
        """Wrap `tell` so that the id of a told trial is never assigned to a new trial."""
        super().__init_subclass__(**settings)
        tell = cls.__dict__.get("tell")
        if tell is None:
            return

        @wraps(tell)
        def numbered(self: "Optimizer", trial: Trial, evaluation: Evaluation) -> None:
            self.skip(trial.id)
            tell(self, trial, evaluation)

        type.__setattr__(cls, "tell", numbered)

    @abstractmethod
    def ask(self, n: int = 1) -> list[Trial]:
        """Return at most `n` trials; their ids are 0, 1, 2, ... over the whole run.

        An empty list means that the optimizer waits for a tell or, if no trial is pending, that it
        has finished. An ask that returns an empty list must not change the optimizer's state.
        """

    @abstractmethod
    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        """Receive the evaluation of a trial. It is called once per trial, in any order."""

    def refuse(self, trial: Trial) -> None:
        """Withdraw a trial that was asked and will never be evaluated.

        This happens only if a replay drifts. It does not concern trials that the budget cannot
        pay: they wait for a larger budget, and the optimizer is not told about them.
        """
        self.tell(trial, Evaluation(None, 0.0, error="refused: it is not in the log"))

    def close(self) -> None:
        """Stop background work such as threads; no ask or tell follows."""
        return None

    def skip(self, id: int) -> None:
        """Assign no id up to and including this one to a later trial."""
        self._n_trials = max(self._n_trials, id + 1)

    def _trial(self, config: Config, fidelity: float = 1.0, resumes: int | None = None) -> Trial:
        """Return a new trial with the next id."""
        trial = Trial(self._n_trials, config, fidelity, resumes)
        self._n_trials += 1
        return trial

    def _value(self, evaluation: Evaluation) -> float:
        """Return a finite value to learn from; call this once per tell.

        It is the evaluation's own value. For a failure without a penalty it is the worst value
        told so far, or 0.0 if there is no value yet.
        """
        if evaluation.value is None:
            return 0.0 if self._worst is None else self._worst
        worst = evaluation.value if self._worst is None else max(self._worst, evaluation.value)
        self._worst = worst
        return evaluation.value
