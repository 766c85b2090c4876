"""The goals and limits of a serving objective, where its settings choose them.

Then no score of `score.py` counts: a load is judged by its metrics alone. An evaluation that breaks
a limit is a success with its metrics and without a penalty. `limits: slo` takes the limits of the
SLO. Latencies are over the requests that succeeded, so a server that drops requests may look fast:
`limits: {failed_share: 0}` excludes it.
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
from objectives.serving.score import Limit, Score
from objectives.trial import Goal
from objectives.wanted import Names, Wanted

SLO = "slo"
"""The setting of `limits` that stands for the limits of the SLO."""

Limits = Mapping[str, float] | str | None
"""The setting `limits`: a bound by metric, `slo`, or None."""

_MOST_BYTES = 2.0**44  # 16 TiB: no server has as much, and grades are not lost in the rounding


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
        """Return the metric of the only goal, negated where more is better; None for several."""
        return self.wanted.value(metrics)

    def check(self, metrics: Mapping[str, float]) -> None:
        """Accept all metrics: what breaks a limit is infeasible and has not failed."""


def by_goals(
    goals: Names, limits: Limits, score: Score, base: str, n_requests: int, longest_s: float
) -> Score:
    """Return the score of the settings `goals` and `limits`; the given one where both are null.

    Args:
        goals: the setting `goals`; None: the metric `base`, if it is a rate per GPU.
        limits: the setting `limits`.
        score: the score where both settings are null; its SLO is the one meant by `slo`.
        base: the metric that the score is relative to.
        n_requests: of the load, which has to have enough of them for each percentile.
        longest_s: no time of a success is longer, in s.

    Raises:
        ValueError: a setting is not as described.
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
        named: among these, each further percentile of a latency may be chosen too.
    """
    more = [name for name in named if percentile_of(name) is not None]
    names = (*STANDARD, *RATES, *(f"{rate}{PER_GPU}" for rate in RATES), *OTHERS, *more)
    return {name: goal for each in names for name, goal in goal_of(each).items()}


def _names(setting: object) -> Sequence[str]:
    """Return the texts that a setting names; what it is otherwise is checked later."""
    listed = list(setting) if isinstance(setting, (list, tuple, Mapping)) else []
    return [name for name in listed if isinstance(name, str)]


def _ceiling(wanted: Wanted, longest_s: float) -> float:
    """Return a value that no success exceeds, where there is one goal."""
    (goal, *_) = wanted.goals.values()
    if not goal.minimise:
        return 0.0
    return {"s": longest_s, "bytes": _MOST_BYTES}.get(goal.unit, 1.0)  # a share is at most 1
