"""Which differences the verdict finds with a power of 80 %, and with how many seeds or tasks.

Two optimizers end at lognormal values, the second higher by `difference` standard deviations of
the logarithm, so a run of the first is better with the probability Phi(difference / sqrt 2).
Across tasks any increasing transform gives the same; within a task, where differences are ranked,
normal values would need about a sixth fewer seeds. Power is that of one pair among all the
comparisons of as many optimizers, by the first step of Holm's correction: what Holm gives at
least.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from experiments.analysis.results import Floats
from experiments.analysis.statistics.improvement import wins_of
from experiments.analysis.statistics.paired import least_p, signed_rank

POWER = 0.8
DIFFERENCES = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 3.0)
OPTIMIZERS = (2, 3, 5, 12)
_SEEDS = (5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50, 75, 100)
_TASKS = (6, 8, 10, 12, 15, 20, 24, 31, 40, 60)
_N_DRAWS = 400
_SEED = 20_261


@dataclass(frozen=True)
class _Pair:
    """A pair of optimizers that differ by so many standard deviations."""

    difference: float

    def draw(self, rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        return np.exp(rng.standard_normal(n)), np.exp(rng.standard_normal(n) + self.difference)


def within_a_task(
    differences: Sequence[float] = DIFFERENCES, level: float = 0.05
) -> Iterator[dict[str, object]]:
    """Yield the seeds that it takes on one task."""
    for difference in differences:
        pair = _Pair(difference)

        def p_of(rng: np.random.Generator, n: int, pair: _Pair = pair) -> float:
            first, second = pair.draw(rng, n)
            return signed_rank(first - second)[0]

        yield from _rows("within a task", "seeds", difference, _SEEDS, p_of, level)


def across_tasks(
    differences: Sequence[float] = DIFFERENCES, n_seeds: int = 5, level: float = 0.05
) -> Iterator[dict[str, object]]:
    """Yield the tasks that it takes with so many seeds each, the same difference on all."""
    for difference in differences:
        pair = _Pair(difference)

        def p_of(rng: np.random.Generator, n: int, pair: _Pair = pair) -> float:
            draws = [pair.draw(rng, n_seeds) for _ in range(n)]
            shares = [wins_of(a[:, None], b[None, :]).mean() for a, b in draws]
            return signed_rank(1 - 2 * np.array(shares))[0]

        kind = f"across tasks of {n_seeds} seeds"
        yield from _rows(kind, "tasks", difference, _TASKS, p_of, level)


def _rows(
    kind: str,
    unit: str,
    difference: float,
    sizes: tuple[int, ...],
    p_of: Callable[[np.random.Generator, int], float],
    level: float,
) -> Iterator[dict[str, object]]:
    drawn: dict[int, Floats] = {}
    for n_optimizers in OPTIMIZERS:
        comparisons = n_optimizers * (n_optimizers - 1) // 2
        needed: int | None = None
        for n in sizes:
            if least_p(n) * comparisons >= level:
                continue
            if n not in drawn:
                rng = np.random.default_rng([_SEED, n])
                drawn[n] = np.array([p_of(rng, n) for _ in range(_N_DRAWS)])
            if (drawn[n] * comparisons < level).mean() >= POWER:
                needed = n
                break
        yield {
            "claim": kind,
            "optimizers": n_optimizers,
            "comparisons": comparisons,
            "difference_sd": difference,
            "probability_better": round(float(norm.cdf(difference / np.sqrt(2))), 3),
            "unit": unit,
            "needed_for_80_pct": needed if needed is not None else f"more than {sizes[-1]}",
        }
