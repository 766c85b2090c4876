"""Simulated suites of one optimizer under many names.

A `Population` draws the final values of runs, (n_tasks, n_optimizers, n_seeds); lower is better.
The synthetic populations have the typical shapes of regrets: spread over decades, heavy-tailed,
stuck in one of two local optima, with few distinct values, or partly without a success. In one of
them the seed makes a run good or bad for all optimizers, as shared initial designs do.
"""

from collections.abc import Callable, Sequence

import numpy as np

from experiments.analysis.results import Floats, Run
from experiments.analysis.statistics.anytime import Quantity, Suite, Task, compare_on

Shape = tuple[int, int, int]
Population = Callable[[np.random.Generator, Shape], Floats]


def lognormal(rng: np.random.Generator, shape: Shape) -> Floats:
    """Return regrets spread over several decades."""
    return np.exp(2.0 * rng.standard_normal(shape))


def heavy(rng: np.random.Generator, shape: Shape) -> Floats:
    """Return regrets without a finite mean (Pareto, index 0.8)."""
    return np.asarray(rng.pareto(0.8, shape))


def two_optima(rng: np.random.Generator, shape: Shape) -> Floats:
    """Return regrets of runs stuck in one of two local optima, with little spread in each."""
    return np.asarray(rng.integers(0, 2, shape) + 0.001 * rng.exponential(size=shape))


def few_values(rng: np.random.Generator, shape: Shape) -> Floats:
    """Return regrets with six distinct values, so that many pairs are ties."""
    return np.asarray(rng.integers(0, 6, shape), dtype=np.float64)


def failing(rng: np.random.Generator, shape: Shape) -> Floats:
    """Return lognormal regrets, with a fifth of the runs without a success."""
    return np.where(rng.random(shape) < 0.2, np.inf, lognormal(rng, shape))


def shared_seeds(rng: np.random.Generator, shape: Shape) -> Floats:
    """Return lognormal regrets with half of the variance due to the seed."""
    of_seed = rng.standard_normal((shape[0], 1, shape[2]))
    return np.asarray(np.exp(np.sqrt(2.0) * (of_seed + rng.standard_normal(shape))))


SYNTHETIC: dict[str, Population] = {
    "lognormal": lognormal,
    "heavy-tailed": heavy,
    "two local optima": two_optima,
    "six values": few_values,
    "a fifth fails": failing,
    "shared seeds": shared_seeds,
}


def logged(runs: Sequence[Run]) -> Population:
    """Return a population that draws, with replacement, from logged runs of one optimizer.

    The simulated tasks cycle through the tasks of these runs.
    """
    pools = [task.final(name) for task in compare_on(runs).tasks for name in task.curves]

    def draw(rng: np.random.Generator, shape: Shape) -> Floats:
        return np.array([rng.choice(pools[i % len(pools)], shape[1:]) for i in range(shape[0])])

    return draw


def suite_of(values: Floats, instances: bool = False) -> Suite:
    """Return the suite in which run i of optimizer j on task t ends at values[t, j, i].

    Args:
        values: (n_tasks, n_optimizers, n_seeds).
        instances: whether each seed is a different instance of the problem.
    """
    names = [f"o{j:02d}" for j in range(values.shape[1])]
    seeds = range(values.shape[2])
    tasks = [
        Task(
            name=f"t{number}",
            grid=np.ones(1),
            curves={
                name: {seed: own[seed : seed + 1] for seed in seeds}
                for name, own in zip(names, of_task, strict=True)
            },
            n_failed={name: dict.fromkeys(seeds, 0) for name in names},
            instances=instances,
            reference=dict.fromkeys(seeds, 0.0),
            scale=dict.fromkeys(seeds, 1.0),
            known=False,
            fixed=frozenset(),
            runs={},
        )
        for number, of_task in enumerate(values)
    ]
    return Suite(tasks, names, Quantity(), [])
