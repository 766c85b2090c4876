"""The contract of an optimizer: it knows the space, never the function."""

from abc import ABC, abstractmethod
from functools import wraps
from typing import Any

from ConfigSpace import ConfigurationSpace

from objectives.trial import Config, Evaluation, Trial


class Optimizer(ABC):
    """Minimises by asking trials and being told their evaluations.

    The rules, which `tests/test_optimizer_conformance.py` checks for every plug-in:

    - Deterministic: the same seed, asks and tells give the same trials, in any process.
      Randomness comes from `np.random.default_rng(seed)`; libraries get an integer drawn
      from it. There is no save or load: a run is resumed by replaying its log.
    - A failed evaluation has `error` set, and `value` None or a finite penalty. Any share of
      failures must be survived, all of them included.
    - Where a replay drifts (another BLAS, another library version), `tell` gets the logged
      trial: the same id, perhaps another configuration, perhaps an id never asked. Learn from
      `trial.config` and keep the books by `trial.id`.

    Attributes:
        extendable: whether a run may go on under a larger budget; False where the design
            depends on the budget.
        version: raised by the author whenever the same seed and answers give other trials; a log
            of another version is not resumed.
    """

    extendable: bool = True
    version: int = 1

    def __init__(self, space: ConfigurationSpace, *, seed: int) -> None:
        self.space = space
        self.seed = seed
        self._n_trials = 0
        self._worst: float | None = None

    def __init_subclass__(cls, **settings: Any) -> None:
        """Number trials here alone: a `tell` of an id that was never asked skips that id."""
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
        """Return at most `n` trials, with ids 0, 1, 2, ... over the whole run.

        An empty list means: wait for a tell, or, where none is pending, finished. An empty
        ask changes nothing.
        """

    @abstractmethod
    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        """Take the answer to a trial: once per trial, in any order."""

    def refuse(self, trial: Trial) -> None:
        """Take a trial back that was asked and will never be evaluated.

        That happens only where a replay drifted. What the budget cannot pay is no such trial: it
        waits for a larger one, and no optimizer is told anything of it.
        """
        self.tell(trial, Evaluation(None, 0.0, error="refused: it is not in the log"))

    def close(self) -> None:
        """End what runs beside, such as threads; nothing is asked or told after it."""
        return None

    def skip(self, id: int) -> None:
        """Give no later trial an id up to this one."""
        self._n_trials = max(self._n_trials, id + 1)

    def _trial(self, config: Config, fidelity: float = 1.0, resumes: int | None = None) -> Trial:
        """Make the next trial."""
        trial = Trial(self._n_trials, config, fidelity, resumes)
        self._n_trials += 1
        return trial

    def _value(self, evaluation: Evaluation) -> float:
        """Return a finite value to learn from; call it once per tell.

        That is the evaluation's own, or for an ungraded failure the worst value told so far
        (0.0 where there is none yet).
        """
        if evaluation.value is None:
            return 0.0 if self._worst is None else self._worst
        worst = evaluation.value if self._worst is None else max(self._worst, evaluation.value)
        self._worst = worst
        return evaluation.value
