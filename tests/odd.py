"""An objective that harms its process or returns invalid values."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from objectives.objective import HostFault, Objective
from objectives.space import build_space
from objectives.trial import Evaluation, Trial


class SetUp(HostFault):
    """A fault that another attempt cannot fix."""

    final = True


class Odd(Objective):
    """Works except for trial 1, whose fault `kind` determines."""

    space = build_space({"x": {"type": "float", "lower": 0.0, "upper": 1.0}})

    def __init__(self, *, kind: str, path: str, seconds: float = 0.0) -> None:
        self._kind, self._path, self._seconds = kind, Path(path), seconds

    def evaluate(self, trial: Trial) -> Evaluation:
        with self._path.open("a") as file:
            file.write(f"{trial.id}\n")
        time.sleep(self._seconds)
        if trial.id == 1:
            self._misbehave(trial)
        return Evaluation(1.0 + trial.id, 1.0)

    def _misbehave(self, trial: Trial) -> None:
        times = self._path.read_text().split().count("1")
        if self._kind == "exits":
            os._exit(7)
        if self._kind == "exits once" and times == 1:
            os._exit(7)
        if self._kind == "calls sys.exit":
            sys.exit(0)
        if self._kind == "hangs":
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
                signal.signal(number, signal.SIG_IGN)
            while True:
                time.sleep(1)
        if self._kind == "host" or (self._kind == "host once" and times == 1):
            raise HostFault("the port was taken")
        if self._kind == "set-up":
            raise SetUp("objective.default: expected a configuration that starts, got none")
        if self._kind == "full disk":
            raise OSError(28, "No space left on device")
        if self._kind == "changes the config":
            trial.config["x"] = "changed"

    def test(self, trial: Trial) -> dict[str, float]:
        if self._kind == "exits in test":
            os._exit(7)
        if self._kind == "raises in test":
            raise RuntimeError("no test today")
        tested: Any = np.float32(2.0)
        return {"tested": tested}
