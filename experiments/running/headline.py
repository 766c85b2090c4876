"""The number that a run is about: which metric, in which unit, and which way is better.

An objective declares it in its goals and the header of the log holds it. Nothing is guessed from
the numbers.
"""

from dataclasses import dataclass

from experiments.running.header import Header
from experiments.running.history import History
from objectives.trial import Evaluation


@dataclass(frozen=True)
class Headline:
    """What is shown of an evaluation.

    Attributes:
        metric: the metric that the value stands for; None: the value itself, which is minimised.
        minimise: whether lower is better.
        unit: of the metric, or empty.
        optimum: the best possible number in its own unit, where it is known.
    """

    metric: str | None
    minimise: bool
    unit: str
    optimum: float | None

    def of(self, evaluation: Evaluation) -> float | None:
        """Return the number of an evaluation; None where it has none."""
        return evaluation.value if self.metric is None else evaluation.metrics.get(self.metric)

    @property
    def label(self) -> str:
        """What an axis says."""
        if self.metric is None:
            return "value (minimised)"
        return f"{self.metric} ({self.unit})" if self.unit else self.metric

    @property
    def direction(self) -> str:
        """Which way is better, in words."""
        return "lower is better" if self.minimise else "higher is better"


def headline(header: Header) -> Headline:
    """Return what is shown of the evaluations under a log's header."""
    metric = header.metric
    if metric is None:
        return Headline(None, True, "", header.optimum)
    goal = header.goals[metric]
    return Headline(metric, goal.minimise, goal.unit, goal.optimum)


def top_fidelity(history: History) -> float:
    """Return the highest fidelity at which a trial succeeded; 1 where none did.

    Only evaluations at it are compared: the number of a partial evaluation is another one.
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
    """Return the id of the first full success of the objective's default configuration.

    The header names the default, if there is one; None where it was not evaluated.
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
    """Return what the default configuration came to; None where it was not evaluated."""
    assert history.header is not None
    id = default_trial(history)
    return None if id is None else headline(history.header).of(history.evaluations[id])
