"""The interface of executors, which evaluate the trials of a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from objectives.trial import Evaluation, Trial


@dataclass(frozen=True)
class Answer:
    """The outcome of a trial.

    Attributes:
        trial: the trial, exactly as it was asked.
        evaluation: its evaluation; None if the host interrupted it.
        traceback: the traceback of the exception that made the evaluation fail, if any.
        retried: why there is no evaluation; None if there is one.
        final: whether a retry cannot succeed, so that the run must end at once.
        simulated_s: the simulated time of the answer in seconds since the beginning of the run;
            None under a real clock.
    """

    trial: Trial
    evaluation: Evaluation | None
    traceback: str | None = None
    retried: str | None = None
    final: bool = False
    simulated_s: float | None = None


class Executor(Protocol):
    """Evaluates trials, possibly several at once.

    Every evaluation must be stored before the runner sees it. `Inline` leaves this to the log. All
    other executors first write the answer, together with its complete trial, to the run's folder.

    An executor whose workers are elsewhere may also have a method `reach`, which raises `OSError`
    if they cannot be reached; a dry run calls it.

    Attributes:
        rounds: whether the runner asks for new trials only when no trial is pending.
        flush: whether the log must be flushed to the disk before the optimizer is told about an
            answer. It need not if the answer is on the disk already, until `forget` removes it, or
            if the evaluation is repeated at no cost.
    """

    rounds: bool
    flush: bool

    def start(self, folder: Path, pending: list[Trial]) -> list[Answer]:
        """Begin a run in a folder; return the answers that were finished without a runner.

        Only answers to one of the pending trials are returned. The caller has to submit the
        remaining pending trials.
        """
        ...

    def submit(self, trial: Trial) -> None:
        """Add a trial to the queue."""
        ...

    def next(self) -> Answer:
        """Wait for the next answer and return it; call this only while trials are pending."""
        ...

    def forget(self, trials: list[Trial]) -> None:
        """Remove the stored answers to these trials; the log on the disk contains them."""
        ...

    def test(self, trial: Trial) -> dict[str, float]:
        """Return the objective's test metrics at a trial; call this while no trial is pending.

        Raises:
            RuntimeError: the objective raised an exception, or its process ended.
        """
        ...

    def close(self) -> None:
        """Stop the evaluations that are still running."""
        ...
