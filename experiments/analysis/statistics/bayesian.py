"""The Bayesian signed-rank test with a region of practical equivalence, by `baycomp`.

Benavoli et al. (JMLR 18, 2017), sec. 4.2: the probabilities that the first optimizer is better by
more than the region, that the two are equivalent, and that the second is better. Over tasks it
takes one number per task; within a task, one per seed.
"""

from dataclasses import dataclass

import numpy as np

from experiments.analysis.results import Floats
from experiments.analysis.statistics.anytime import Suite, Task

ROPE = 0.01
"""Normalised regret within which two optimizers are equivalent: 1 % of a first success's."""

LEAST_NUMBERS = 5  # below it the prior's one pseudo-observation is a sixth of all


@dataclass(frozen=True)
class Posterior:
    """Three probabilities that add up to 1, and the numbers that they come from."""

    first: str
    second: str
    first_better: float
    equivalent: float
    second_better: float
    n: int


def signed_rank(
    first: Floats, second: Floats, rope: float, seed: int = 0
) -> tuple[float, float, float]:
    """Return the probabilities for paired numbers, lower is better, (n,) each.

    Raises:
        ValueError: `rope` is negative.
    """
    if rope < 0:
        raise ValueError(f"rope: expected a number of at least 0, got {rope}")
    import baycomp  # the extra `stats`, and a second of imports

    # baycomp's "left" is that the first has the greater numbers.
    worse, same, better = baycomp.SignedRankTest.probs(
        first, second, rope, nsamples=20_000, random_state=seed
    )
    return float(better), float(same), float(worse)


def over_tasks(suite: Suite, first: str, second: str, rope: float = ROPE) -> Posterior | None:
    """Compare mean normalised regrets at the common budget; None below `LEAST_NUMBERS` tasks."""
    tasks = [task for task in suite.tasks if {first, second} <= task.curves.keys()]
    return _posterior(
        first, second, [_mean(task, first) for task in tasks],
        [_mean(task, second) for task in tasks], rope,
    )  # fmt: skip


def within_task(task: Task, first: str, second: str, rope: float = ROPE) -> Posterior | None:
    """Compare the normalised regrets of common seeds; None where the numbers do not allow it.

    They do not below `LEAST_NUMBERS` pairs, or where one does not depend on the seed.
    """
    common = sorted(task.curves.get(first, {}).keys() & task.curves.get(second, {}).keys())
    if {first, second} & task.fixed:
        return None
    a, b = (np.minimum(task.regret(name, common)[:, -1], 1.0) for name in (first, second))
    return _posterior(first, second, list(map(float, a)), list(map(float, b)), rope)


def _mean(task: Task, optimizer: str) -> float:
    """Return the mean regret, a run's at most 1: no success is as good as a first one."""
    return float(np.minimum(task.regret(optimizer)[:, -1], 1.0).mean())


def _posterior(
    first: str, second: str, a: list[float], b: list[float], rope: float
) -> Posterior | None:
    if len(a) < LEAST_NUMBERS:
        return None
    return Posterior(first, second, *signed_rank(np.array(a), np.array(b), rope), len(a))
