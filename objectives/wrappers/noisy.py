"""Add normal noise to the value of another objective."""

from dataclasses import replace

import numpy as np

from objectives import expected
from objectives.draws import draws
from objectives.objective import Objective
from objectives.trial import Evaluation, Trial
from objectives.wrappers.wrapper import Wrapper


class Noisy(Wrapper):
    """Adds N(0, sd^2) to the value, drawn by (seed, trial id).

    The same trial therefore has the same value, in any order and any process, while a new trial of
    the same configuration has new noise. `optimum` remains that of the inner objective, which is
    the least expected value. Failed evaluations are not changed.
    """

    def __init__(self, *, inner: Objective, sd: float, seed: int) -> None:
        """Wrap `inner`.

        Args:
            inner: any objective.
            sd: the standard deviation, in the units of the value.
            seed: the seed of the noise.

        Raises:
            ValueError: `sd` is negative or not finite, or `seed` is not an integer >= 0.
        """
        super().__init__(inner)
        self.version = inner.version + 1  # version 1 drew the same random numbers as an optimizer
        self.sd = float(expected.number("sd", sd, least=0))
        self.seed = expected.whole("seed", seed, 0)
        self.noise_sd = float(np.hypot(inner.noise_sd, self.sd))

    def evaluate(self, trial: Trial) -> Evaluation:
        evaluation = self.inner.evaluate(trial)
        if evaluation.value is None or evaluation.error is not None:
            return evaluation
        noise = self.sd * float(draws(self.seed, trial.id).standard_normal())
        return replace(evaluation, value=evaluation.value + noise)
