"""Answers that are hard to learn from: failures, and values of unusual sizes."""

import math
import sys

from experiments.testing.conversation import MIXED, Answer, answers
from objectives.trial import Evaluation, Trial


def _sized(*values: float) -> Answer:
    """Return a function that returns the given values in turn."""
    return lambda trial: Evaluation(values[trial.id % len(values)], cost=1.0)


def _one_success(trial: Trial) -> Evaluation:
    if trial.id == 5:
        return Evaluation(1.0, cost=1.0)
    return Evaluation(2.0 + trial.id % 4, cost=1.0, error="graded")


LARGEST = sys.float_info.max
SIZES: dict[str, Answer] = {
    "the largest": _sized(LARGEST, -LARGEST, 1.0),
    "one cliff": _sized(0.3, 1e300, *(0.1 * k for k in range(20))),
    "one abyss": _sized(0.3, -1e300, *(0.1 * k for k in range(20))),
    "a relative spread of 1e-12": _sized(*(1e9 + 1e-3 * math.sin(k) for k in range(20))),
    "many of the least, and large": _sized(5e6, 5e6 + 2, 5e6, 5e6, 5e6 + 1),
    "the smallest": _sized(0.0, 5e-324, 1e-323),
    "all the same": _sized(3.0),
    "one success": _one_success,
}
"""Functions that return values of unusual sizes, by what is unusual."""


def all_fail(trial: Trial) -> Evaluation:
    """Return a failure without a value."""
    return Evaluation(None, cost=1.0, error="all fail")


def graded_failures(trial: Trial) -> Evaluation:
    """Return a failure with a penalty for every other trial."""
    if trial.id % 2:
        return answers(MIXED)(trial)
    return Evaluation(1e4 + trial.id, cost=1.0, error="failed, but how far it got is known")
