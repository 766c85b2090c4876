"""The number that a run is about: which metric, in which unit, and which way is better.

An objective declares it in its goals and the header of the log holds it. Nothing is guessed from
the numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.running.run_log import History


@dataclass(frozen=True)
class Headline:
    """What is shown of an evaluation.

    Attributes:
        metric: the metric that the value stands for; None: the value itself, which is minimised.
        minimise: whether lower is better; None where the log does not declare it.
        unit: of the metric, or empty.
        optimum: the best possible number in its own unit, where it is known.
    """

    metric: str | None
    minimise: bool | None
    unit: str
    optimum: float | None

    @property
    def label(self) -> str:
        """What an axis says."""
        if self.metric is None:
            return "value (minimised)"
        return f"{self.metric} ({self.unit})" if self.unit else self.metric

    @property
    def direction(self) -> str:
        """Which way is better, in words; empty where nobody declared it."""
        if self.minimise is None:
            return ""
        return "lower is better" if self.minimise else "higher is better"


def headline(header: Mapping[str, Any]) -> Headline:
    """Return what is shown of the evaluations under a log's header."""
    goals: Mapping[str, Any] = header.get("goals") or {}
    metric = header.get("metric") or next(iter(goals), None)
    if metric is None:
        return Headline(None, True, "", header.get("optimum"))
    goal = goals.get(metric)
    if goal is None:
        return Headline(metric, None, "", None)
    return Headline(metric, bool(goal["minimise"]), goal.get("unit") or "", goal.get("optimum"))


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


def default_number(history: History) -> float | None:
    """Return what the objective's default configuration came to; None where it was not evaluated.

    The header names the default, if there is one. Its first full success counts.
    """
    assert history.header is not None
    default, metric = history.header.get("default"), headline(history.header).metric
    for id, evaluation in history.evaluations.items():
        trial = history.trials[id]
        if default is None or trial.config != default or trial.fidelity < 1:
            continue
        if evaluation.error is None:
            return evaluation.metrics.get(metric) if metric else evaluation.value
    return None
