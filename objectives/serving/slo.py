"""The limits of an SLO, with the smooth penalty that `score.py` describes for each."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from objectives import expected
from objectives.serving.load.measures import MORE_IS_BETTER, check_metric

C = 5.0
_STEEPNESS = (0.1, 0.5)
_LIMIT_KEYS = {"limit", "weight", "steepness", "fail_above"}


@dataclass(frozen=True)
class Limit:
    """One line of an SLO.

    Attributes:
        metric: name of the metric.
        limit: T, in the metric's unit; a lower bound if more is better.
        weight: w.
        steepness: s, from 0.1 to 0.5; with a lower s, the penalty rises later and more steeply.
        fail_above: the violation v above which the evaluation fails; None means never.
    """

    metric: str
    limit: float
    weight: float
    steepness: float
    fail_above: float | None

    def violation(self, metrics: Mapping[str, float]) -> float:
        """Return v >= 0; the violation of a missing metric is infinite."""
        x = metrics.get(self.metric)
        if x is None:
            return math.inf
        over = self.limit - x if self.metric in MORE_IS_BETTER else x - self.limit
        return max(0.0, over / self.limit)

    def penalty(self, metrics: Mapping[str, float]) -> float:
        """Return the bounded, smooth penalty in [0, w s C]."""
        v, s = min(self.violation(metrics), 1.0), self.steepness
        return self.weight * s * math.expm1(v / s) / math.expm1(1 / s) * C


def limits(slo: Mapping[str, Mapping[str, Any]], n_requests: int) -> list[Limit]:
    """Read an SLO, which holds `limit`, `weight`, `steepness` and `fail_above` by metric.

    Raises:
        ValueError: a load of `n_requests` does not measure a metric, or a number is invalid.
    """
    found = []
    for metric, keys in slo.items():
        where = f"objective.slo.{metric}"
        check_metric("objective.slo", metric, n_requests)
        if not isinstance(keys, Mapping) or set(keys) != _LIMIT_KEYS:
            raise ValueError(f"{where}: expected the keys {sorted(_LIMIT_KEYS)}, got {keys}")
        least, most = _STEEPNESS
        hard = expected.null_or(expected.number, f"{where}.fail_above", keys["fail_above"], least=0)
        found.append(
            Limit(
                metric,
                limit=float(expected.number(f"{where}.limit", keys["limit"], above=0)),
                weight=float(expected.number(f"{where}.weight", keys["weight"], least=0)),
                steepness=float(
                    expected.number(f"{where}.steepness", keys["steepness"], least=least, most=most)
                ),
                fail_above=None if hard is None else float(hard),
            )
        )
    return found
