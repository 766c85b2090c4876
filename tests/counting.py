"""An objective for the tests of kills, which records its evaluations in a file."""

import os
import time
from pathlib import Path
from typing import Any

from objectives.functions.synthetic import Branin
from objectives.objective import Resources
from objectives.trial import Evaluation, Fidelities, Trial


class CountingBranin(Branin):
    """Branin that appends the id of each trial to a file before it evaluates it.

    It offers shares of an evaluation, which have the value of a full one.
    """

    fidelities = Fidelities((1 / 9, 1 / 3, 1.0))

    def __init__(self, *, path: str, seconds: float = 0.0, **settings: Any) -> None:
        super().__init__(**settings)
        self._path, self._seconds = Path(path), seconds

    def evaluate(self, trial: Trial) -> Evaluation:
        with self._path.open("a") as file:
            file.write(f"{trial.id}\n")
        time.sleep(self._seconds)
        return super().evaluate(trial)


class DyingBranin(CountingBranin):
    """The same, but trial 3 ends the process that evaluates it, as lack of memory would."""

    def evaluate(self, trial: Trial) -> Evaluation:
        if trial.id == 3:
            os._exit(9)
        return super().evaluate(trial)


class SpanBranin(Branin):
    """Writes down when each evaluation begins and ends, and whether it shares its host."""

    def __init__(self, *, path: str, alone: bool, **settings: Any) -> None:
        super().__init__(**settings)
        self._path, self.resources = Path(path), Resources(whole_host=alone)

    def evaluate(self, trial: Trial) -> Evaluation:
        started = time.monotonic()
        time.sleep(0.01)
        evaluation = super().evaluate(trial)
        with self._path.open("a") as file:
            file.write(f"{started} {time.monotonic()} {not self.resources.whole_host}\n")
        return evaluation
