"""The goals and limits of an objective's metrics, as its settings choose them.

An objective that measures several metrics has the settings `goals` and `limits`:

    objective.goals=[output_tokens_per_s_per_gpu, ttft_p90_s]    # several goals: there is no value
    objective.goals={f1: 11, f2: 11}                             # with their references
    objective.limits={ttft_p90_s: 2.0}                           # feasible up to two seconds

The objective defines in which direction each of its metrics is better. A limit is an upper bound of
a metric if smaller is better, and a lower bound otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from objectives import expected
from objectives.trial import Goal, Limit, signed

Names = Sequence[str] | Mapping[str, float | None] | None
"""The setting `goals`: metrics, or hypervolume references by metric; None means the default.
"""

Bounds = Mapping[str, float] | None
"""The setting `limits`: a bound by metric; None means the objective's default limits."""


@dataclass(frozen=True)
class Wanted:
    """Goals and limits.

    Attributes:
        goals: the goals by metric, in the order of the setting.
        limits: the limits by metric.
    """

    goals: dict[str, Goal]
    limits: dict[str, Limit]

    @classmethod
    def of(
        cls,
        goals: Names,
        limits: Bounds,
        measured: Mapping[str, Goal],
        default: Sequence[str],
        default_limits: Mapping[str, float] | None = None,
    ) -> "Wanted":
        """Return the goals and limits that two settings choose among an objective's metrics.

        Args:
            goals: the setting `goals`.
            limits: the setting `limits`.
            measured: the metrics that may be chosen, each with its direction.
            default: the goals if the setting is None.
            default_limits: the limits if the setting is None; by default there are none.

        Raises:
            ValueError: a setting does not have the described form; the message names it.
        """
        names = _names(default if goals is None else goals, measured)
        references = goals if isinstance(goals, Mapping) else {}
        bounds = (default_limits or {}) if limits is None else limits
        if not isinstance(bounds, Mapping):
            raise ValueError(
                f"objective.limits: expected bounds by metric, such as {{{next(iter(measured))}: "
                f"2.0}}, or null, got {bounds!r}"
            )
        return cls(
            {name: _referred(measured[name], references.get(name), name) for name in names},
            {name: _limit(name, bound, measured) for name, bound in bounds.items()},
        )

    @property
    def several(self) -> bool:
        """Whether there are several goals, so that an evaluation has no value."""
        return len(self.goals) > 1

    def value(self, metrics: Mapping[str, float]) -> float | None:
        """Return the metric of the only goal, negated if larger is better; None for several goals.

        Raises:
            KeyError: the metrics do not contain the goal.
        """
        if self.several:
            return None
        found = signed(self.goals, metrics)
        if found is None:
            raise KeyError(next(iter(self.goals)))
        return found[0]


def _names(given: object, measured: Mapping[str, Goal]) -> list[str]:
    """Return distinct names of metrics, at least one."""
    rule = f"different metrics of {list(measured)}, or null"
    given = list(given) if isinstance(given, Mapping) else given
    if not isinstance(given, (list, tuple)) or not given:
        raise ValueError(f"objective.goals: expected a list of {rule}, got {given!r}")
    for name in given:
        if not isinstance(name, str) or name not in measured:
            raise ValueError(f"objective.goals: expected {rule}, got {name!r}")
    if len(set(given)) < len(given):
        raise ValueError(f"objective.goals: expected {rule}, got {list(given)}")
    return list(given)


def _referred(goal: Goal, reference: object, name: str) -> Goal:
    """Return a goal with the reference that the setting gives, if any."""
    if reference is None:
        return goal
    return replace(goal, reference=float(expected.number(f"objective.goals.{name}", reference)))


def _limit(name: object, bound: object, measured: Mapping[str, Goal]) -> Limit:
    if not isinstance(name, str) or name not in measured:
        raise ValueError(f"objective.limits: expected metrics of {list(measured)}, got {name!r}")
    goal = measured[name]
    bound = float(expected.number(f"objective.limits.{name}", bound))
    return Limit(bound, goal.minimise, goal.unit)
