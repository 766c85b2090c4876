"""The Bayesian signed-rank test with a region of practical equivalence, by `baycomp`.

Benavoli et al. (JMLR 18, 2017), sec. 4.2: the probabilities that the first optimizer is better by
more than the region, that the two are equivalent, and that the second is better. Across tasks, the
test uses one number per task, the mean over the common seeds; within a task, one per seed.

- The normalised regret of a run is capped at 1: a run without a success counts as much as one that
  ends at a typical first success, so larger regrets are not told apart.
- A difference of zero is kept: it lies within the region and is evidence of equivalence.
- The probabilities are estimated from 20,000 draws. The differences are first put into a canonical
  order and direction, so the result does not depend on names or on the order of tasks and seeds.
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
"""Differences of normalised regret up to this are equivalent: 1 % of a typical first success's."""

LEAST_NUMBERS = 5  # with fewer, the prior's pseudo-observation has over a sixth of the weight


@dataclass(frozen=True)
class Posterior:
    """Three probabilities that add up to 1, and the number of differences they are based on."""

    first: str
    second: str
    first_better: float
    equivalent: float
    second_better: float
    n: int


def signed_rank(
    first: Floats, second: Floats, rope: float, seed: int = 0
) -> tuple[float, float, float]:
    """Return the probabilities for paired numbers, (n,) each; lower is better.

    Raises:
        ValueError: `rope` is negative.
    """
    if rope < 0:
        raise ValueError(f"rope: expected a number of at least 0, got {rope}")
    import baycomp  # needs the extra `stats`; takes a second to import

    d = np.sort(differences(first, second))
    turned = [*-d[::-1]] < [*d]
    ordered = -d[::-1] if turned else d
    # baycomp's "left" is the probability that the first has the greater numbers.
    worse, same, better = map(
        float,
        baycomp.SignedRankTest.probs(
            ordered, np.zeros(len(d)), rope, nsamples=20_000, random_state=seed
        ),
    )
    return (worse, same, better) if turned else (better, same, worse)


def over_tasks(suite: Suite, first: str, second: str, rope: float = ROPE) -> Posterior | None:
    """Compare mean normalised regrets across tasks; None with fewer than `LEAST_NUMBERS` tasks."""
    found = [
        (_mean(task, first, seeds), _mean(task, second, seeds))
        for task in suite.tasks
        if (seeds := common_seeds(task, first, second))
    ]
    return _posterior(first, second, [a for a, _ in found], [b for _, b in found], rope)


def within_task(task: Task, first: str, second: str, rope: float = ROPE) -> Posterior | None:
    """Compare the normalised regrets of common seeds within a task.

    None with fewer than `LEAST_NUMBERS` pairs, or if an optimizer does not depend on the seed.
    """
    common = common_seeds(task, first, second)
    if {first, second} & task.fixed or not common:
        return None
    a, b = (np.minimum(task.regret(name, common)[:, -1], 1.0) for name in (first, second))
    return _posterior(first, second, list(map(float, a)), list(map(float, b)), rope)


def _mean(task: Task, optimizer: str, seeds: Sequence[int]) -> float:
    """Return the mean normalised regret over seeds, each capped at 1."""
    capped = np.minimum(task.regret(optimizer, seeds)[:, -1], 1.0)
    return fsum(capped.tolist()) / len(seeds)


def _posterior(
    first: str, second: str, a: list[float], b: list[float], rope: float
) -> Posterior | None:
    if len(a) < LEAST_NUMBERS:
        return None
    return Posterior(first, second, *signed_rank(np.array(a), np.array(b), rope), len(a))
