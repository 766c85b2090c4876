"""The executors that conf/executor/*.yaml chooses from."""

import math

from experiments.running.executors.executor import Executor
from experiments.running.executors.inline import Inline
from objectives.objective import Objective


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
