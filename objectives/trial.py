"""A trial is the question an optimizer asks; an evaluation is the answer it is told.

The module also defines what both sides know about a problem: its goals, its limits and its
fidelities.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

Value = bool | int | float | str
Config = dict[str, Value]
"""One point of a space in natural units: plain Python values that survive JSON.

Parameters that are inactive under the space's conditions are absent.
"""


@dataclass(frozen=True)
class Goal:
    """The goal of a metric.

    Attributes:
        minimise: whether smaller is better.
        unit: the unit, such as "s" or "tokens/s"; empty for a share or a plain number.
        reference: the reference value of the hypervolume, in natural units.
        optimum: the best possible value, in natural units, if it is known.
    """

    minimise: bool
    unit: str = ""
    reference: float | None = None
    optimum: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as the header of a log holds them."""
        return dict(vars(self))


@dataclass(frozen=True)
class Limit:
    """A bound on a metric.

    An evaluation that violates a limit is a success with its metrics; it is infeasible, not failed.

    Attributes:
        bound: the bound, in the metric's natural units.
        at_most: whether the metric may be at most the bound; otherwise it must be at least that.
        unit: the unit, such as "s"; empty for a share or a plain number.
    """

    bound: float
    at_most: bool = True
    unit: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as the header of a log holds them."""
        return dict(vars(self))

    def excess(self, measured: float | None) -> float:
        """Return the amount by which a metric violates the bound; negative if it does not.

        A metric that was not measured violates every bound, by infinity.
        """
        if measured is None or measured != measured:
            return float("inf")
        return measured - self.bound if self.at_most else self.bound - measured


@dataclass(frozen=True)
class Fidelities:
    """The shares of a full evaluation that an objective offers.

    Attributes:
        grid: the shares that are offered, ascending; the last one is 1.0.
        changeable: the parameters that may differ from those of the resumed trial.
        resumable: whether an evaluation can be continued at a higher fidelity. If not, an optimizer
            asks for the higher fidelity without `resumes`, and its full cost is charged.

    Raises:
        ValueError: the grid does not have the described form.
    """

    grid: tuple[float, ...]
    changeable: tuple[str, ...] = ()
    resumable: bool = True

    def __post_init__(self) -> None:
        rising = all(low < high for low, high in pairwise(self.grid))
        if not self.grid or not rising or self.grid[0] <= 0 or self.grid[-1] != 1.0:
            raise ValueError(
                f"fidelities: expected ascending shares in (0, 1] that end in 1.0, got {self.grid}"
            )

    @property
    def least(self) -> float:
        """The smallest share."""
        return self.grid[0]


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration to evaluate.

    Attributes:
        id: 0, 1, 2, ... in the order in which the optimizer asked.
        config: the point, in natural units.
        fidelity: the share of a full evaluation, in (0, 1].
        resumes: the id of the trial whose checkpoint this trial continues.
    """

    id: int
    config: Config
    fidelity: float = 1.0
    resumes: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as the log holds them; `resumes` only if it is set."""
        fields = {"id": self.id, "config": self.config, "fidelity": self.fidelity}
        return fields if self.resumes is None else {**fields, "resumes": self.resumes}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of evaluating a trial.

    Attributes:
        value: the number to minimise. It is None if the evaluation failed and the objective grades
            no penalty, or if there are several goals, whose numbers are in `metrics`.
        cost: seconds, measured or simulated.
        metrics: all other measurements, in natural units and sign.
        error: set if and only if the evaluation failed. Statistics use this field, never the size
            of `value`.
        items: per-item outcomes by metric, packed as in `objectives.items`.
    """

    value: float | None
    cost: float
    metrics: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    items: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as the log holds them; `items` only if there are any."""
        fields: dict[str, Any] = {
            "value": self.value,
            "cost": self.cost,
            "metrics": self.metrics,
            "error": self.error,
        }
        return {**fields, "items": self.items} if self.items else fields


def keeps(limits: Mapping[str, Limit], metrics: Mapping[str, float]) -> bool:
    """Return whether metrics satisfy all limits, which are given by metric."""
    return all(limit.excess(metrics.get(name)) <= 0 for name, limit in limits.items())


def signed(goals: Mapping[str, Goal], metrics: Mapping[str, float]) -> list[float] | None:
    """Return the goals' metrics in the order of the goals, negated if larger is better.

    Smaller is then better in each number. The result is None if a goal was not measured.
    """
    if not metrics.keys() >= goals.keys():
        return None
    return [metrics[name] if goal.minimise else -metrics[name] for name, goal in goals.items()]


@dataclass(frozen=True)
class EarlierTask:
    """The evaluations of an earlier task, which an optimizer may learn from before its first ask.

    Its values may have another scale than those of the present task; they are minimised as well.

    Attributes:
        configs: configurations of the present space, in the order of their evaluation.
        evaluations: the evaluation of each: a value, an error, or a failure's penalty with both.
    """

    configs: tuple[Config, ...]
    evaluations: tuple[Evaluation, ...]
