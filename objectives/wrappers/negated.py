"""The opposite of another objective: its best configurations are the worst."""

from dataclasses import replace

from objectives.objective import Objective
from objectives.trial import Evaluation, Trial
from objectives.wrappers.wrapper import Wrapper


class Negated(Wrapper):
    """Minimises what the inner objective maximises: the value changes its sign.

    As an earlier run it is the most misleading one: a model of it orders all configurations
    wrongly. Metrics, and failures with their penalties, are passed on as they are.
    """

    def __init__(self, *, inner: Objective) -> None:
        """Wrap `inner`.

        Args:
            inner: an objective with one goal and no limits.

        Raises:
            ValueError: it has several goals, or limits.
        """
        super().__init__(inner)
        if len(inner.goals) > 1 or inner.limits:
            names = ", ".join([*inner.goals, *inner.limits])
            raise ValueError(f"inner: expected one goal and no limits, got {names}")
        self.goals = {}  # the value is no longer what a metric stands for
        self.default = None
        self.optimum, self.minimisers = None, ()

    def evaluate(self, trial: Trial) -> Evaluation:
        evaluation = self.inner.evaluate(trial)
        if evaluation.value is None or evaluation.error is not None:
            return evaluation
        return replace(evaluation, value=-evaluation.value)
