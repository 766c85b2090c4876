"""The number that is shown for an evaluation: its metric, unit and direction.

The objective declares them in its goals, and the header of the log records them. Nothing is
inferred from the numbers.
"""

from dataclasses import dataclass

from experiments.running.header import Header
from experiments.running.history import History
from objectives.trial import Evaluation


@dataclass(frozen=True)
class Headline:
    """The number that is shown for an evaluation.

    Attributes:
        metric: the metric behind the value; None shows the value itself, which is minimised.
        minimise: whether lower is better.
        unit: the unit of the metric, or "".
        optimum: the best possible number in the metric's own unit, if it is known.
    """

    metric: str | None
    minimise: bool
    unit: str
    optimum: float | None

    def of(self, evaluation: Evaluation) -> float | None:
        """Return the number of an evaluation, or None if the evaluation lacks it."""
        return evaluation.value if self.metric is None else evaluation.metrics.get(self.metric)

    @property
    def label(self) -> str:
        """The label of an axis."""
        if self.metric is None:
            return "value (minimised)"
        return f"{self.metric} ({self.unit})" if self.unit else self.metric

    @property
    def direction(self) -> str:
        """The direction in words."""
        return "lower is better" if self.minimise else "higher is better"


def headline(header: Header) -> Headline:
    """Return the number that is shown for the evaluations of a log with this header."""
    metric = header.metric
    if metric is None:
        return Headline(None, True, "", header.optimum)
    goal = header.goals[metric]
    return Headline(metric, goal.minimise, goal.unit, goal.optimum)


def untrained_name(metric: str | None) -> str:
    """Return the name of the metric that holds the untrained model's number."""
    return f"untrained_{metric}"


def top_fidelity(history: History) -> float:
    """Return the highest fidelity at which a trial succeeded, or 1 if no trial succeeded.

    Only evaluations at this fidelity are compared, because values at different fidelities are not
    comparable.
    """
    return max(
        (
            history.trials[id].fidelity
            for id, evaluation in history.evaluations.items()
            if evaluation.error is None
        ),
        default=1.0,
    )


def default_trial(history: History) -> int | None:
    """Return the id of the first successful full evaluation of the default configuration.

    Return None if the header names no default, or if the default was not evaluated.
    """
    assert history.header is not None
    default = history.header.default
    for id, evaluation in history.evaluations.items():
        trial = history.trials[id]
        full = trial.fidelity == 1.0 and evaluation.error is None
        if default is not None and full and trial.config == default:
            return id
    return None


def default_number(history: History) -> float | None:
    """Return the number of the default configuration, or None if it was not evaluated."""
    assert history.header is not None
    id = default_trial(history)
    return None if id is None else headline(history.header).of(history.evaluations[id])
