"""Compute the value of a serving configuration, which is minimised, from a load's metrics.

Let x be a metric, T its limit, v = max(0, (x - T)/T) its violation (for a rate, where more is
better, (T - x)/T), w its weight and s its steepness:

    slo         b + sum w s (exp(min(v, 1)/s) - 1)/(exp(1/s) - 1) C,    C = 5
    goodput     -(requests per second that meet every limit)
    throughput  b of output_tokens_per_s
    latency     b of e2e_p90_s
    compat      the autotuner's formula, see `Compat`

b is -log(x / reference) for a rate (per GPU) and log(x / reference) + g log(GPUs / reference's) for
a latency, where g is `gpu_cost`. With g = 1, a configuration on twice the GPUs has to halve the
latency; with g = 0, GPUs are free. The reference is the metric of the default configuration on the
same machine. The default therefore scores 0 if it violates no limit and fails no request.

A latency is measured over the successful requests, and refusing requests makes those faster. Let f
be the share of failed requests and p the percentile. As f grows from 0 to 1 - p, b of a latency
grows from the value above to its worst, log 20. Beyond 1 - p, the percentile over all requests does
not exist.

The penalty is 0 at the limit, smooth up to twice the limit, and bounded. There is one departure: b
is clipped where a configuration is twenty times worse than the reference, so that every score has a
ceiling. A failure scores the ceiling plus its grade (`grades.py`).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from objectives import expected
from objectives.serving.grades import Failure
from objectives.serving.load.measures import (
    MORE_IS_BETTER,
    PER_GPU,
    check_metric,
    goal_of,
    percentile_of,
)
from objectives.serving.slo import C, Limit, limits
from objectives.trial import Goal

SCORES = ("slo", "goodput", "throughput", "latency", "compat")
_WORST = math.log(20.0)  # largest b
_TINY = 1e-9
_EXPONENT = 25.0  # largest exponent in compat; above it, rounding would swallow a grade


def base(
    metric: str,
    metrics: Mapping[str, float],
    reference: Mapping[str, float],
    gpu_cost: float = 0.0,
) -> float:
    """Return b of the module's docstring, clipped at log 20.

    Rates are per GPU. The number of GPUs is `gpus` in the metrics and in the reference, or 1.
    """
    b = relation(metric, metrics, reference)
    if metric in MORE_IS_BETTER:
        return b
    gpus = metrics.get("gpus", 1.0) / reference.get("gpus", 1.0)
    b = min(b + gpu_cost * math.log(gpus), _WORST)
    return b + (_WORST - b) * _shed(metric, metrics)


def relation(metric: str, metrics: Mapping[str, float], reference: Mapping[str, float]) -> float:
    """Return the log ratio by which a metric is worse than the reference's, clipped at log 20."""
    if metric in MORE_IS_BETTER:
        x = metrics[metric] / metrics.get("gpus", 1.0)
        ratio = reference[metric] / reference.get("gpus", 1.0) / x if x > 0 else math.inf
    else:
        ratio = metrics.get(metric, math.inf) / max(reference[metric], _TINY)
    return min(math.log(ratio), _WORST) if ratio > 0 else -_WORST


def _shed(metric: str, metrics: Mapping[str, float]) -> float:
    """Return in [0, 1] how much failed requests affect a latency; 1 if they hide its percentile."""
    found = percentile_of(metric)
    if found is None:
        return 0.0
    return min(metrics.get("failed_share", 0.0) / (1 - found[1] / 100), 1.0)


class Score(ABC):
    """The score, which maps metrics to the value.

    Attributes:
        metric: the name of what the value represents.
        needs_reference: whether the default configuration has to be measured first.
        ceiling: an upper bound of every value, to which the grade of a failure is added.
    """

    metric: str
    needs_reference: bool = True
    ceiling: float = _WORST

    def __init__(self, slo: list[Limit]) -> None:
        self.slo = slo

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that a load has to measure for this score."""
        return (*(limit.metric for limit in self.slo), self.metric)

    @abstractmethod
    def value(self, metrics: Mapping[str, float], reference: Mapping[str, float]) -> float | None:
        """Return the value to minimise: finite, and at most `ceiling`."""

    def check(self, metrics: Mapping[str, float]) -> None:
        """Raise `Failure` if a hard limit is violated."""
        for limit in self.slo:
            if limit.fail_above is not None and limit.violation(metrics) > limit.fail_above:
                raise Failure("slo", _broken(limit, metrics))


def _broken(limit: Limit, metrics: Mapping[str, float]) -> str:
    sign = "-" if limit.metric in MORE_IS_BETTER else "+"
    rule = f"{limit.limit:g} {sign} {100 * (limit.fail_above or 0):g} %"
    found = metrics.get(limit.metric)
    return f"{limit.metric}: expected within {rule}, got " + (
        "none" if found is None else f"{found:.4g}"
    )


class SloScore(Score):
    """The bounded, smooth score of an SLO."""

    def __init__(self, slo: list[Limit], metric: str, gpu_cost: float) -> None:
        super().__init__(slo)
        self.metric, self._gpu_cost = metric, gpu_cost
        self.ceiling = _WORST + sum(limit.weight * limit.steepness * C for limit in slo)

    def value(self, metrics: Mapping[str, float], reference: Mapping[str, float]) -> float:
        penalties = sum(limit.penalty(metrics) for limit in self.slo)
        return base(self.metric, metrics, reference, self._gpu_cost) + penalties


class Goodput(Score):
    """The negated rate of requests that meet every limit; it needs no reference."""

    metric = "goodput_per_s"
    needs_reference = False
    ceiling = 0.0

    def value(self, metrics: Mapping[str, float], reference: Mapping[str, float]) -> float:
        return 0.0 - metrics["goodput_per_s"] / metrics.get("gpus", 1.0)


class Ratio(Score):
    """One rate or latency relative to the reference, independent of the SLO."""

    def __init__(self, slo: list[Limit], metric: str, gpu_cost: float) -> None:
        super().__init__(slo)
        self.metric, self._gpu_cost = metric, gpu_cost

    def value(self, metrics: Mapping[str, float], reference: Mapping[str, float]) -> float:
        return base(self.metric, metrics, reference, self._gpu_cost)


class Compat(Score):
    """The autotuner's formula, for comparison: base (1 + sum over v > 0 of w exp(v/s)).

    base is the latency (or 1 / throughput) divided by the reference's. A violation above
    `fail_above` (the autotuner's `fail_ratio`) is a hard failure. Without `fail_above`, v is
    clipped at 1, a departure that keeps the score finite.

    The following faults of the formula are kept. It jumps by w at the limit, because exp(0) = 1.
    Its penalty grows by orders of magnitude, so that a soft violation can score worse than a
    time-out does in the autotuner. A better `base` can hide a violated limit. GPUs and failed
    requests do not affect a latency. Two faults are not kept: its infinities, and its grading of
    failures by elapsed time, by which a hang ranks best among the failures.
    """

    def __init__(self, slo: list[Limit], metric: str) -> None:
        super().__init__(slo)
        self.metric = metric
        worst = sum(self._penalty(limit, math.inf) for limit in slo)
        self.ceiling = math.exp(_WORST) * (1 + worst)

    def value(self, metrics: Mapping[str, float], reference: Mapping[str, float]) -> float:
        broken = [(limit, limit.violation(metrics)) for limit in self.slo]
        total = 1 + sum(self._penalty(limit, v) for limit, v in broken if v > 0)
        return math.exp(relation(self.metric, metrics, reference)) * total

    def _penalty(self, limit: Limit, v: float) -> float:
        most = 1.0 if limit.fail_above is None else limit.fail_above
        return limit.weight * math.exp(min(min(v, most) / limit.steepness, _EXPONENT))


def goals_of(score: Score, most_gpus: int, gpu_cost: float) -> dict[str, Goal]:
    """Return the goal that the value represents, by metric; empty if the value is a score.

    A rate is per GPU, which matters if configurations differ in their number of GPUs. The same
    holds for a latency whose value includes the number of GPUs.
    """
    if isinstance(score, SloScore | Compat):
        return {}
    if score.metric in MORE_IS_BETTER:
        return goal_of(score.metric + (PER_GPU if most_gpus > 1 else ""))
    return {} if most_gpus > 1 and gpu_cost > 0 else goal_of(score.metric)


def build(
    score: str,
    base: str,
    slo: Mapping[str, Mapping[str, Any]],
    n_requests: int,
    gpu_cost: float = 0.0,
) -> Score:
    """Return the score with a given name.

    Args:
        score: one of `SCORES`.
        base: the metric of `b` in `slo` and `compat`.
        slo: the SLO, in the form that `limits` reads.
        n_requests: number of requests of the load.
        gpu_cost: g of the module's docstring, for a latency.

    Raises:
        ValueError: a setting is invalid.
    """
    gpu_cost = float(expected.number("objective.gpu_cost", gpu_cost, least=0))
    lines = limits(slo, n_requests)
    check_metric("objective.base", base, n_requests)
    expected.one_of("objective.score", score, SCORES)
    if base == "failed_share":
        raise ValueError(f"objective.base: expected a rate or a latency, got {base}")
    if score == "slo":
        return SloScore(lines, base, gpu_cost)
    if score == "compat":
        return Compat(lines, base)
    if score == "goodput":
        return Goodput(lines)
    if score == "throughput":
        return Ratio(lines, "output_tokens_per_s", gpu_cost)
    return Ratio(lines, "e2e_p90_s", gpu_cost)
