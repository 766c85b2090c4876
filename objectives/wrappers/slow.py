"""A delay before the evaluations of another objective."""

import time
from dataclasses import replace
from time import perf_counter

import numpy as np

from objectives.functions.box import whole
from objectives.objective import Objective
from objectives.space import check
from objectives.trial import Evaluation, Trial
from objectives.wrappers.wrapper import Wrapper, number


class Slow(Wrapper):
    """Sleeps before it answers, to try interrupts, progress and parallel runs.

    A trial sleeps fidelity * seconds * (1 + jitter * r), with r uniform in [-1, 1] drawn by
    (seed, trial id). The sleep is part of the cost.
    """

    cheap = False

    def __init__(self, *, inner: Objective, seconds: float, jitter: float, seed: int) -> None:
        """Wrap `inner`.

        Args:
            inner: any objective.
            seconds: mean sleep of a full evaluation.
            jitter: largest deviation from it, as a share in [0, 1].
            seed: of the deviations.

        Raises:
            ValueError: a setting is out of range.
        """
        super().__init__(inner)
        self.seconds = number("seconds", seconds)
        self.jitter = number("jitter", jitter, 1.0)
        self.seed = whole("seed", seed, 0)
        self.cheap = inner.cheap and self.seconds <= 0.01

    def evaluate(self, trial: Trial) -> Evaluation:
        check(self.space, trial.config)
        start = perf_counter()
        r = float(np.random.default_rng([self.seed, trial.id]).uniform(-1, 1))
        time.sleep(trial.fidelity * self.seconds * (1 + self.jitter * r))
        slept = perf_counter() - start
        evaluation = self.inner.evaluate(trial)
        return replace(evaluation, cost=evaluation.cost + slept)
