"""Normal noise on the value of another objective."""

from dataclasses import replace

import numpy as np

from objectives import expected
from objectives.draws import draws
from objectives.objective import Objective
from objectives.trial import Evaluation, Trial
from objectives.wrappers.wrapper import Wrapper


class Noisy(Wrapper):
    """Adds N(0, sd^2) to the value, drawn by (seed, trial id).

    So the same trial gets the same value, in any order and any process, while the same
    configuration under a new id gets new noise. `optimum` stays that of the inner objective:
    the least expected value. Failed evaluations are passed on as they are.
    """

    def __init__(self, *, inner: Objective, sd: float, seed: int) -> None:
        """Wrap `inner`.

        Args:
            inner: any objective.
            sd: standard deviation, in the units of the value.
            seed: of the noise.

        Raises:
            ValueError: `sd` is negative or no finite number, or `seed` no integer >= 0.
        """
        super().__init__(inner)
        self.version = inner.version + 1  # version 1 drew an optimizer's numbers
        self.sd = float(expected.number("sd", sd, least=0))
        self.seed = expected.whole("seed", seed, 0)
        self.noise_sd = float(np.hypot(inner.noise_sd, self.sd))

    def evaluate(self, trial: Trial) -> Evaluation:
        evaluation = self.inner.evaluate(trial)
        if evaluation.value is None or evaluation.error is not None:
            return evaluation
        noise = self.sd * float(draws(self.seed, trial.id).standard_normal())
        return replace(evaluation, value=evaluation.value + noise)
