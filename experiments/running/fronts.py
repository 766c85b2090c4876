"""What a run of several goals, or with limits, shows: the incumbents and the limits, as text."""

from collections.abc import Mapping

from experiments.running.history import History
from objectives.trial import Goal, Limit, keeps

_MOST = 12  # incumbents that a summary lists


def limits_line(limits: Mapping[str, Limit]) -> str:
    """Return the limits in words."""
    return ", ".join(
        f"{name} at {'most' if limit.at_most else 'least'} {limit.bound:g} {limit.unit}".rstrip()
        for name, limit in limits.items()
    )


def nothing(history: History) -> str:
    """Return the reason why there is no incumbent."""
    assert history.header is not None
    succeeded = [e for e in history.evaluations.values() if e.error is None]
    if not succeeded or not history.header.limits:
        return "no full evaluation succeeded"
    broken = sum(not keeps(history.header.limits, e.metrics) for e in succeeded)
    return f"no evaluation keeps the limits ({broken} of {len(succeeded)} successes break one)"


def front_line(history: History) -> str:
    """Return the number of incumbents and the range of each goal among them, in one line."""
    assert history.header is not None
    ids = history.incumbents()
    ranges = []
    for name, goal in history.header.goals.items():
        numbers = [history.evaluations[id].metrics[name] for id in ids]
        low, high = f"{min(numbers):.4g}", f"{max(numbers):.4g}"
        span = low if low == high else f"{low} to {high}"
        ranges.append(f"{name} {span} {goal.unit}".rstrip())
    counted = "1 incumbent" if len(ids) == 1 else f"{len(ids)} incumbents"
    return f"{counted}: {', '.join(ranges)}"


def front_rows(history: History) -> list[tuple[str, str]]:
    """Return the lines of a summary: the incumbents, sorted by the first goal, and directions."""
    assert history.header is not None
    goals = history.header.goals
    first, goal = next(iter(goals.items()))
    ids = sorted(
        history.incumbents(),
        key=lambda id: history.evaluations[id].metrics[first] * (1 if goal.minimise else -1),
    )
    rows = [("goals", ", ".join(map(_direction, goals, goals.values())))]
    rows.append(("best", front_line(history)))
    for id in _thinned(ids):
        metrics = history.evaluations[id].metrics
        numbers = ", ".join(f"{name} {metrics[name]:.6g}" for name in goals)
        config = history.trials[id].config
        said = ", ".join(f"{name}={value}" for name, value in config.items())
        rows.append(("", f"trial {id}: {numbers}  ({said})"))
    return rows


def _direction(name: str, goal: Goal) -> str:
    return f"{name} ({'less' if goal.minimise else 'more'} is better)"


def _thinned(ids: list[int]) -> list[int]:
    """Return at most `_MOST` of the ids, evenly spread, the ends included."""
    if len(ids) <= _MOST:
        return ids
    return [ids[round(i * (len(ids) - 1) / (_MOST - 1))] for i in range(_MOST)]
