"""The contract of an executor: where the trials of a run are evaluated."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from objectives.trial import Evaluation, Trial


@dataclass(frozen=True)
class Answer:
    """What became of a trial.

    Attributes:
        trial: exactly as it was asked.
        evaluation: of it; None where it was broken off and is made again.
        traceback: where it failed by an exception.
        retried: why it is made again, None where it is not.
        final: whether making it again cannot help, so that the run ends at once.
    """

    trial: Trial
    evaluation: Evaluation | None
    traceback: str | None = None
    retried: str | None = None
    final: bool = False


class Executor(Protocol):
    """Evaluates trials, several at once where it can.

    An evaluation is safe before anyone is told: `Inline` leaves that to the log, all others
    write the answer, with its whole trial, into the run's folder first.
    """

    def start(self, folder: Path, pending: list[Trial]) -> list[Answer]:
        """Begin a run in a folder; return what was finished while no runner lived.

        Only an answer to exactly one of the pending trials counts. The others of them have to be
        submitted.
        """
        ...

    def submit(self, trial: Trial) -> None:
        """Take one more trial to evaluate."""
        ...

    def next(self) -> Answer:
        """Return the next answer, waiting for it; call it only while trials are pending.

        An answer that was returned before is in the log by then.
        """
        ...

    def test(self, trial: Trial) -> dict[str, float]:
        """Return the objective's test metrics at a trial; call it while nothing is pending.

        Raises:
            RuntimeError: the objective raised, or its process ended.
        """
        ...

    def close(self) -> None:
        """End what is still running."""
        ...
