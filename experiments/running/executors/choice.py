"""The executors that conf/executor/*.yaml chooses from."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hydra.utils import instantiate

from experiments.running.executors.executor import Executor
from experiments.running.executors.inline import Inline
from objectives.objective import Objective

ExecutorFactory = Callable[[Objective, int, float | None], Executor]
"""Makes an executor from an objective, the number of workers and the time limit in seconds."""


def inline(objective: Objective, workers: int, evaluation_timeout_s: float | None) -> Executor:
    """Return an executor that evaluates in this process.

    Raises:
        ValueError: there are several workers or there is a time limit; neither is possible inline.
    """
    if workers > 1:
        raise ValueError(f"executor: expected processes or auto for workers={workers}, got inline")
    if evaluation_timeout_s is not None:
        raise ValueError(
            "executor: expected processes or auto for evaluation_timeout_s, got inline"
        )
    return Inline(objective)


def processes(objective: Objective, workers: int, evaluation_timeout_s: float | None) -> Executor:
    """Return an executor that evaluates in separate processes.

    Raises:
        ValueError: the objective cannot be pickled, or cannot share its host.
    """
    from experiments.running.executors.processes import Processes  # saves short runs 10 ms

    return Processes(objective, workers, evaluation_timeout_s)


def auto(objective: Objective, workers: int, evaluation_timeout_s: float | None) -> Executor:
    """Return an inline executor for a cheap objective, and one with processes otherwise.

    Raises:
        ValueError: the objective cannot be pickled, or cannot share its host.
    """
    if workers == 1 and evaluation_timeout_s is None and objective.cheap:
        return Inline(objective)
    return processes(objective, workers, evaluation_timeout_s)


@dataclass(frozen=True)
class SimulatedChoice:
    """Makes executors with a simulated clock.

    Attributes:
        rounds: whether new trials are asked for only when all workers are idle.
        seconds: the simulated duration of a full evaluation, if the objective measures its cost.
        jitter: the largest deviation from `seconds`, as a fraction of it.

    Raises:
        ValueError: a setting is out of range.
    """

    rounds: bool = False
    seconds: float = 1.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.rounds, bool):
            raise ValueError(f"executor.rounds: expected true or false, got {self.rounds!r}")
        for key, most in (("seconds", 1e9), ("jitter", 1.0)):
            value = getattr(self, key)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 <= value <= most:
                raise ValueError(
                    f"executor.{key}: expected a number from 0 to {most:g}, got {value!r}"
                )

    def __call__(
        self, objective: Objective, workers: int, evaluation_timeout_s: float | None
    ) -> Executor:
        """Return an executor whose evaluations take their simulated cost."""
        from experiments.running.executors.simulated import Simulated

        return Simulated(
            objective,
            rounds=self.rounds,
            seconds=float(self.seconds),
            jitter=float(self.jitter),
            evaluation_timeout_s=evaluation_timeout_s,
        )

    def clock(self, objective: Objective) -> dict[str, Any]:
        """Return what the identity of a run holds of its clock."""
        if objective.simulates_cost:
            return {"rounds": self.rounds}
        return {"rounds": self.rounds, "seconds": float(self.seconds), "jitter": float(self.jitter)}


def executor_of(settings: dict[str, Any]) -> ExecutorFactory:
    """Return the factory that the settings of conf/executor/*.yaml describe; `auto` if empty.

    Raises:
        ValueError: the settings describe something else, or their values are out of range.
        HydraException: nothing can be created from the settings.
    """
    if not settings:
        return auto
    made = instantiate(settings, _convert_="all")
    if not callable(made):
        raise ValueError(f"executor: expected a maker of executors, got {type(made).__name__}")
    factory: ExecutorFactory = made
    return factory


def clock_of(factory: ExecutorFactory, objective: Objective) -> dict[str, Any] | None:
    """Return the settings of the simulated clock of a factory's executors; None if it is real."""
    clock = getattr(factory, "clock", None)
    return None if clock is None else clock(objective)


def check_timeout(evaluation_timeout_s: object) -> None:
    """Raise `ValueError` unless the time limit is None or a positive number of seconds."""
    value = evaluation_timeout_s
    if value is None:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < float(str(value)) < math.inf:
        raise ValueError(
            f"evaluation_timeout_s: expected null or a positive number of seconds, got {value!r}"
        )
