"""Sequential evaluation in the runner's own process, for objectives that take milliseconds."""

from collections import deque
from pathlib import Path

from experiments.running import interrupts
from experiments.running.executors import evaluating
from experiments.running.executors.executor import Answer
from objectives.objective import Objective
from objectives.trial import Trial


class InProcess:
    """What executors share that evaluate in the runner's own process."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective

    def evaluated(self, trial: Trial) -> Answer:
        """Evaluate a trial now."""
        if self._objective.cheap:  # defer signals, so that a finished evaluation is never lost
            with interrupts.held():
                return evaluating.evaluate(self._objective, trial)
        with interrupts.released():
            return evaluating.evaluate(self._objective, trial)

    def forget(self, trials: list[Trial]) -> None:
        pass  # no answer is stored outside the log

    def test(self, trial: Trial) -> dict[str, float]:
        with interrupts.released():
            return evaluating.test(self._objective, trial)


class Inline(InProcess):
    """Evaluates trials in the order of submission.

    A crash of the objective ends the run, and there is no time limit; see `processes.py`.
    """

    rounds = False
    flush = True

    def __init__(self, objective: Objective) -> None:
        super().__init__(objective)
        self._queue: deque[Trial] = deque()

    def start(self, folder: Path, pending: list[Trial]) -> list[Answer]:
        self._objective.folder = folder
        return []

    def submit(self, trial: Trial) -> None:
        self._queue.append(trial)

    def next(self) -> Answer:
        return self.evaluated(self._queue.popleft())

    def close(self) -> None:
        self._queue.clear()
