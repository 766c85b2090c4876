"""Delay the evaluations of another objective."""

import time
from dataclasses import replace
from time import perf_counter

from objectives import expected
from objectives.draws import draws
from objectives.objective import Objective, Outlook
from objectives.space import check
from objectives.trial import Evaluation, Trial
from objectives.wrappers.wrapper import Wrapper


class Slow(Wrapper):
    """Sleeps before it answers, to test interrupts, progress displays and parallel runs.

    A trial sleeps for fidelity * seconds * (1 + jitter * r) + cost_scale * cost seconds. Here r is
    uniform in [-1, 1] and drawn by (seed, trial id), and cost is that of the inner evaluation. The
    sleep is part of the cost.
    """

    cheap = False

    def __init__(
        self, *, inner: Objective, seconds: float, jitter: float, seed: int, cost_scale: float
    ) -> None:
        """Wrap `inner`.

        Args:
            inner: any objective.
            seconds: the mean sleep of a full evaluation in seconds.
            jitter: the largest deviation from the mean, as a share in [0, 1].
            seed: the seed of the deviations.
            cost_scale: the share of the inner evaluation's cost that is added to the sleep. It
                turns a table of costs into an objective that takes time.

        Raises:
            ValueError: a setting is out of range.
        """
        super().__init__(inner)
        self.seconds = float(expected.number("seconds", seconds, least=0))
        self.jitter = float(expected.number("jitter", jitter, least=0, most=1))
        self.seed = expected.whole("seed", seed, 0)
        self.cost_scale = float(expected.number("cost_scale", cost_scale, least=0))
        self.cheap = inner.cheap and self.seconds <= 0.01 and not self.cost_scale
        self.simulates_cost = False  # the sleep is measured

    def outlook(self) -> Outlook:
        inner = self.inner.outlook()
        known = inner.seconds is not None or (self.inner.cheap and not self.cost_scale)
        return replace(inner, seconds=self.seconds + (inner.seconds or 0.0) if known else None)

    def evaluate(self, trial: Trial) -> Evaluation:
        check(self.space, trial.config)
        start = perf_counter()
        r = float(draws(self.seed, trial.id).uniform(-1, 1))
        time.sleep(trial.fidelity * self.seconds * (1 + self.jitter * r))
        slept = perf_counter() - start
        evaluation = self.inner.evaluate(trial)
        if self.cost_scale:
            start = perf_counter()
            time.sleep(self.cost_scale * evaluation.cost)
            slept += perf_counter() - start
        return replace(evaluation, cost=evaluation.cost + slept)
