"""Which executor a run gets, as conf/executor/*.yaml says."""

import math

from experiments.running.executors.executor import Executor
from experiments.running.executors.inline import Inline
from objectives.objective import Objective


def inline(objective: Objective, workers: int, evaluation_timeout_s: float | None) -> Executor:
    """Return an executor that evaluates in this process.

    Raises:
        ValueError: there are several workers, or a limit of time, which it cannot keep.
    """
    if workers > 1:
        raise ValueError(f"executor: expected processes or auto for workers={workers}, got inline")
    if evaluation_timeout_s is not None:
        raise ValueError(
            "executor: expected processes or auto for evaluation_timeout_s, got inline"
        )
    return Inline(objective)


def processes(objective: Objective, workers: int, evaluation_timeout_s: float | None) -> Executor:
    """Return an executor that evaluates in processes of their own.

    Raises:
        ValueError: the objective cannot be handed to another process, or share its host.
    """
    from experiments.running.executors.processes import Processes  # 10 ms that a short run saves

    return Processes(objective, workers, evaluation_timeout_s)


def auto(objective: Objective, workers: int, evaluation_timeout_s: float | None) -> Executor:
    """Return an inline executor for a cheap objective, else one with processes.

    Raises:
        ValueError: the objective cannot be handed to another process, or share its host.
    """
    if workers == 1 and evaluation_timeout_s is None and objective.cheap:
        return Inline(objective)
    return processes(objective, workers, evaluation_timeout_s)


def check_timeout(evaluation_timeout_s: object) -> None:
    """Raise `ValueError` unless a limit of time is None or a positive number of seconds."""
    value = evaluation_timeout_s
    if value is None:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < float(str(value)) < math.inf:
        raise ValueError(
            f"evaluation_timeout_s: expected null or a positive number of seconds, got {value!r}"
        )
