"""The Bayesian signed-rank test with a region of practical equivalence, by `baycomp`.

Benavoli et al. (JMLR 18, 2017), sec. 4.2: the probabilities that the first optimizer is better by
more than the region, that the two are equivalent, and that the second is better. Over tasks it
takes one number per task, the mean over the seeds that both have; within a task, one per seed.

- Normalised regret is capped at 1 for each run: a run without a success counts as much as one
  that ends at a typical first success, so how bad a run is beyond that is not seen.
- A difference of zero is not dropped. It lies within the region and speaks for equivalence.
- The probabilities come from 20,000 draws. They are drawn for the differences in their own order
  and direction, so that names and the order of tasks and seeds change nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np

from experiments.analysis.results import Floats
from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.improvement import common_seeds
from experiments.analysis.statistics.paired import differences

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

    d = np.sort(differences(first, second))
    turned = [*-d[::-1]] < [*d]
    ordered = -d[::-1] if turned else d
    # baycomp's "left" is that the first has the greater numbers.
    worse, same, better = map(
        float,
        baycomp.SignedRankTest.probs(
            ordered, np.zeros(len(d)), rope, nsamples=20_000, random_state=seed
        ),
    )
    return (worse, same, better) if turned else (better, same, worse)


def over_tasks(suite: Suite, first: str, second: str, rope: float = ROPE) -> Posterior | None:
    """Compare mean normalised regrets at the common budget; None below `LEAST_NUMBERS` tasks."""
    found = [
        (_mean(task, first, seeds), _mean(task, second, seeds))
        for task in suite.tasks
        if (seeds := common_seeds(task, first, second))
    ]
    return _posterior(first, second, [a for a, _ in found], [b for _, b in found], rope)


def within_task(task: Task, first: str, second: str, rope: float = ROPE) -> Posterior | None:
    """Compare the normalised regrets of common seeds; None where the numbers do not allow it.

    They do not below `LEAST_NUMBERS` pairs, or where one does not depend on the seed.
    """
    common = common_seeds(task, first, second)
    if {first, second} & task.fixed or not common:
        return None
    a, b = (np.minimum(task.regret(name, common)[:, -1], 1.0) for name in (first, second))
    return _posterior(first, second, list(map(float, a)), list(map(float, b)), rope)


def _mean(task: Task, optimizer: str, seeds: Sequence[int]) -> float:
    """Return the mean regret, a run's at most 1: no success is as good as a first one."""
    capped = np.minimum(task.regret(optimizer, seeds)[:, -1], 1.0)
    return fsum(capped.tolist()) / len(seeds)


def _posterior(
    first: str, second: str, a: list[float], b: list[float], rope: float
) -> Posterior | None:
    if len(a) < LEAST_NUMBERS:
        return None
    return Posterior(first, second, *signed_rank(np.array(a), np.array(b), rope), len(a))
