"""The goals and limits of a serving objective, if its settings choose them.

With goals or limits, the score is not used: a load is judged only by its metrics. An evaluation
that violates a limit is a success and keeps its metrics. `limits: slo` takes the limits of the SLO.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from objectives.serving.load.measures import OTHERS, PER_GPU, RATES, STANDARD, goal_of
from objectives.serving.score import Limit
from objectives.trial import Goal
from objectives.wanted import Names, Wanted

SLO = "slo"
"""The setting of `limits` that stands for the limits of the SLO."""


def wanted(
    goals: Names, limits: Mapping[str, float] | str | None, slo: Sequence[Limit], base: str
) -> Wanted | None:
    """Return the goals and limits; None if both settings are null, so that the score is used.

    Args:
        goals: the setting `goals`; None means the metric `base`, if it is a rate per GPU.
        limits: the setting `limits`; `slo` means the limits of the SLO.
        slo: the lines of the SLO.
        base: the metric that the score is relative to.

    Raises:
        ValueError: a setting does not have the described form.
    """
    if goals is None and limits is None:
        return None
    bounds: Any = {line.metric: line.limit for line in slo} if limits == SLO else limits
    default = f"{base}{PER_GPU}" if base in RATES else base
    return Wanted.of(goals, bounds, measured(line.metric for line in slo), [default])


def measured(more: Any = ()) -> dict[str, Goal]:
    """Return the metrics that may be chosen, each with its direction and unit."""
    names = (*STANDARD, *RATES, *(f"{rate}{PER_GPU}" for rate in RATES), *OTHERS, *more)
    return {name: goal for each in names for name, goal in goal_of(each).items()}


def per_gpu(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the rates divided by the configuration's number of GPUs, which is 1 if absent."""
    gpus = metrics.get("gpus") or 1.0
    return {f"{rate}{PER_GPU}": metrics[rate] / gpus for rate in RATES if rate in metrics}


def ceiling(chosen: Wanted, load_timeout_s: float) -> float:
    """Return a value above every success: a rate is at least 0, a latency at most a time limit."""
    (goal, *_) = chosen.goals.values()
    return load_timeout_s if goal.minimise else 0.0
