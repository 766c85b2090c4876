"""Evaluations in this process, one after the other: for objectives that take milliseconds."""

from collections import deque
from pathlib import Path

from experiments.running import interrupts
from experiments.running.executors import evaluating
from experiments.running.executors.executor import Answer
from objectives.objective import Objective
from objectives.trial import Trial


class Inline:
    """Evaluates in the order of submission.

    What ends the process ends the run, and there is no limit of time; see `processes.py`.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._queue: deque[Trial] = deque()

    def start(self, folder: Path, pending: list[Trial]) -> list[Answer]:
        self._objective.folder = folder
        return []

    def submit(self, trial: Trial) -> None:
        self._queue.append(trial)

    def next(self) -> Answer:
        trial = self._queue.popleft()
        if self._objective.cheap:  # so that a signal never costs an evaluation that is made
            with interrupts.held():
                return evaluating.evaluate(self._objective, trial)
        with interrupts.released():
            return evaluating.evaluate(self._objective, trial)

    def test(self, trial: Trial) -> dict[str, float]:
        with interrupts.released():
            return evaluating.test(self._objective, trial)

    def close(self) -> None:
        self._queue.clear()
