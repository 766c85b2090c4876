"""The goals and limits of a serving objective, if its settings choose them.

With goals or limits, no score of `score.py` is used: a load is judged only by its metrics. An
evaluation that violates a limit is a success with its metrics and without a penalty. `limits: slo`
takes the limits of the SLO. Latencies cover the successful requests, so a server that drops
requests may look fast; `limits: {failed_share: 0}` excludes it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from objectives.serving.load.measures import (
    OTHERS,
    PER_GPU,
    RATES,
    STANDARD,
    check_metric,
    goal_of,
    percentile_of,
)
from objectives.serving.score import Score
from objectives.serving.slo import Limit
from objectives.trial import Goal
from objectives.wanted import Names, Wanted

SLO = "slo"
"""The setting of `limits` that stands for the limits of the SLO."""

Limits = Mapping[str, float] | str | None
"""The setting `limits`: a bound by metric, `slo`, or None."""

_MOST_BYTES = 2.0**44  # 16 TiB: more than any server has, and small enough to keep grades exact


class ByGoals(Score):
    """The value of an evaluation that is judged by goals and limits.

    Attributes:
        wanted: the goals and limits.
    """

    needs_reference = False

    def __init__(self, slo: list[Limit], wanted: Wanted, longest_s: float) -> None:
        """Judge by goals and limits.

        Args:
            slo: the lines of the SLO, by which goodput counts requests.
            wanted: the goals and limits.
            longest_s: no time of a success is longer, in s.
        """
        super().__init__(slo)
        self.wanted = wanted
        self.metric = next(iter(wanted.goals))
        self.ceiling = _ceiling(wanted, longest_s)

    @property
    def metrics(self) -> tuple[str, ...]:
        return (*super().metrics, *self.wanted.goals, *self.wanted.limits)

    def value(self, metrics: Mapping[str, float], reference: Mapping[str, float]) -> float | None:
        """Return the metric of the only goal, negated if larger is better; None for several."""
        return self.wanted.value(metrics)

    def check(self, metrics: Mapping[str, float]) -> None:
        """Accept all metrics; a violation of a limit is infeasible and not a failure."""


def by_goals(
    goals: Names, limits: Limits, score: Score, base: str, n_requests: int, longest_s: float
) -> Score:
    """Return the score for the settings `goals` and `limits`; `score` if both are null.

    Args:
        goals: the setting `goals`; None means the metric `base`, if it is a rate per GPU.
        limits: the setting `limits`.
        score: the score if both settings are null; `limits: slo` refers to its SLO.
        base: the metric that the score is relative to.
        n_requests: the number of requests of the load, which has to suffice for each percentile.
        longest_s: no time of a success is longer, in s.

    Raises:
        ValueError: a setting does not have the described form.
    """
    if goals is None and limits is None:
        return score
    bounds: Any = {line.metric: line.limit for line in score.slo} if limits == SLO else limits
    default = f"{base}{PER_GPU}" if base in RATES else base
    named = [*_names(goals), *_names(bounds), base, *(line.metric for line in score.slo)]
    wanted = Wanted.of(goals, bounds, measured(named), [default])
    for setting, chosen in (("goals", wanted.goals), ("limits", wanted.limits)):
        for name in chosen:
            check_metric(f"objective.{setting}", name.removesuffix(PER_GPU), n_requests)
    return ByGoals(score.slo, wanted, longest_s)


def measured(named: Iterable[str] = ()) -> dict[str, Goal]:
    """Return the metrics that may be chosen, each with its direction and unit.

    Args:
        named: names of metrics; further percentiles of latencies among them may be chosen too.
    """
    more = [name for name in named if percentile_of(name) is not None]
    names = (*STANDARD, *RATES, *(f"{rate}{PER_GPU}" for rate in RATES), *OTHERS, *more)
    return {name: goal for each in names for name, goal in goal_of(each).items()}


def _names(setting: object) -> Sequence[str]:
    """Return the texts that a setting names; its form is checked later."""
    listed = list(setting) if isinstance(setting, (list, tuple, Mapping)) else []
    return [name for name in listed if isinstance(name, str)]


def _ceiling(wanted: Wanted, longest_s: float) -> float:
    """Return a value that no success exceeds, if there is one goal."""
    (goal, *_) = wanted.goals.values()
    if not goal.minimise:
        return 0.0
    return {"s": longest_s, "bytes": _MOST_BYTES}.get(goal.unit, 1.0)  # a share is at most 1
