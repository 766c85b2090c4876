"""A load of lower fidelity: a shorter load that is otherwise the same.

A load of lower fidelity has a share of the requests, with the same rate in an open loop and the
same concurrency in a closed loop. Small shares are excluded. A load with fewer requests than the
concurrency would be a different load, and a percentile needs some requests beyond it. A load cannot
be continued: a longer load is sent from its beginning, and its full cost is charged.
"""

from collections.abc import Iterable

from objectives.serving.load.arrivals import Plan
from objectives.serving.load.measures import percentile_of, requests_needed
from objectives.trial import Fidelities

_SHARES = (1 / 27, 1 / 9, 1 / 3, 1.0)


def fidelities(plan: Plan, metrics: Iterable[str]) -> Fidelities | None:
    """Return the shares of a load that can be sent; None if only the whole load can.

    Args:
        plan: the whole load.
        metrics: the metrics that the score needs.
    """
    least = _least(plan, list(metrics))
    counts = {share: _count(plan, share) for share in _SHARES}
    grid = [share for share in _SHARES if share == 1 or least <= counts[share] < len(plan)]
    return Fidelities(tuple(grid), resumable=False) if len(grid) > 1 else None


def shortened(plan: Plan, fidelity: float, metrics: Iterable[str]) -> Plan:
    """Return the load at a fidelity.

    Raises:
        ValueError: the load has too few requests for the concurrency or for a percentile.
    """
    n, least = _count(plan, fidelity), _least(plan, list(metrics))
    if fidelity < 1 and n < least:
        raise ValueError(
            f"fidelity: expected a share of {len(plan)} requests with at least {least} of them, as "
            f"the concurrency and the percentiles need, got {fidelity:g}, which has {n}"
        )
    return plan.first(n)


def check_answers(plan: Plan, metrics: Iterable[str]) -> None:
    """Raise `ValueError` if a metric needs two tokens and every answer has only one."""
    for metric in metrics:
        found = percentile_of(metric)
        if found and found[0] in ("tpot", "itl") and plan.answer_tokens.max() < 2:
            raise ValueError(
                f"objective.load.lengths: expected answers of at least 2 tokens for {metric}, got 1"
            )


def _count(plan: Plan, fidelity: float) -> int:
    return max(round(fidelity * len(plan)), 1)


def _least(plan: Plan, metrics: list[str]) -> int:
    """Return the smallest number of requests of a shortened load."""
    needed = [requests_needed(metric, shortened=True) for metric in metrics]
    return max(plan.concurrency or 1, *needed, 1)
