"""The number of seeds or tasks with which the verdict detects a difference with a power of 80 %.

The final values of two optimizers are lognormal, and the logarithm of the second's is higher by
`difference` standard deviations. So a run of the first is better with probability
Phi(difference / sqrt 2). Across tasks, any increasing transform of the values gives the same power.
Within a task, where differences are ranked, normal values would need about a sixth fewer seeds. The
power is that of one pair among all comparisons of the given number of optimizers, by the first step
of Holm's correction, so it is a lower bound on the power with the full correction.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.stats import norm

from experiments.analysis.results import Floats
from experiments.analysis.statistics.improvement import ahead_by
from experiments.analysis.statistics.paired import least_p
from experiments.analysis.statistics.signed_rank import signed_rank_arrays

POWER = 0.8
DIFFERENCES = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 3.0)
OPTIMIZERS = (2, 3, 5, 12)
_SEEDS = (5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50, 75, 100)
_TASKS = (6, 8, 10, 12, 15, 20, 24, 31, 40, 60)
_N_DRAWS = 400
_SEED = 20_261

_Draw = Callable[[np.random.Generator, int], Floats]
"""Returns one p-value per simulated draw, given the number of seeds or tasks."""


def within_a_task(
    differences: Sequence[float] = DIFFERENCES, level: float = 0.05
) -> Iterator[dict[str, object]]:
    """Yield rows with the number of seeds needed on one task."""
    for difference in differences:

        def draw(rng: np.random.Generator, n: int, by: float = difference) -> Floats:
            first, second = _pair(rng, (_N_DRAWS, n), by)
            return signed_rank_arrays(first - second)[0]

        yield from _rows("within a task", "seeds", difference, _SEEDS, draw, level)


def across_tasks(
    differences: Sequence[float] = DIFFERENCES, n_seeds: int = 5, level: float = 0.05
) -> Iterator[dict[str, object]]:
    """Yield rows with the number of tasks needed, given the seeds per task and one difference."""
    for difference in differences:

        def draw(rng: np.random.Generator, n: int, by: float = difference) -> Floats:
            first, second = _pair(rng, (_N_DRAWS, n, n_seeds), by)
            ahead, _ = ahead_by(first, second, instances=False)
            return signed_rank_arrays(ahead.astype(np.float64))[0]

        kind = f"across tasks of {n_seeds} seeds"
        yield from _rows(kind, "tasks", difference, _TASKS, draw, level)


def _pair(rng: np.random.Generator, shape: tuple[int, ...], by: float) -> tuple[Floats, Floats]:
    """Return the final values of the two optimizers."""
    return np.exp(rng.standard_normal(shape)), np.exp(rng.standard_normal(shape) + by)


def _rows(
    kind: str, unit: str, difference: float, sizes: tuple[int, ...], draw: _Draw, level: float
) -> Iterator[dict[str, object]]:
    drawn: dict[int, Floats] = {}
    for n_optimizers in OPTIMIZERS:
        comparisons = n_optimizers * (n_optimizers - 1) // 2
        needed: int | None = None
        for n in sizes:
            if least_p(n) * comparisons >= level:
                continue
            if n not in drawn:
                drawn[n] = draw(np.random.default_rng([_SEED, n]), n)
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
