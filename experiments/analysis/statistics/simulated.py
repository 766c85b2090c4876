"""Suites of one and the same optimizer under many names, and one that is better by so much.

`Population` draws what runs end with, (n_tasks, n_optimizers, n_seeds), the lower the better.
The synthetic ones are the shapes that regrets have: skewed over decades, heavy-tailed, stuck in
one of two local optima, of few values, without a success in places; and with a seed that makes
a run good or bad for all optimizers, as shared initial designs do.
"""

from collections.abc import Callable, Sequence

import numpy as np

from experiments.analysis.results import Floats, Run
from experiments.analysis.statistics.anytime import Quantity, Suite, Task, compare_on

Shape = tuple[int, int, int]
Population = Callable[[np.random.Generator, Shape], Floats]


def lognormal(rng: np.random.Generator, shape: Shape) -> Floats:
    """Return regrets over several decades."""
    return np.exp(2.0 * rng.standard_normal(shape))


def heavy(rng: np.random.Generator, shape: Shape) -> Floats:
    """Return regrets without a mean (Pareto, index 0.8)."""
    return np.asarray(rng.pareto(0.8, shape))


def two_optima(rng: np.random.Generator, shape: Shape) -> Floats:
    """Return runs stuck in one of two local optima, with little spread in each."""
    return np.asarray(rng.integers(0, 2, shape) + 0.001 * rng.exponential(size=shape))


def few_values(rng: np.random.Generator, shape: Shape) -> Floats:
    """Return one of six values, so that many pairs are ties."""
    return np.asarray(rng.integers(0, 6, shape), dtype=np.float64)


def failing(rng: np.random.Generator, shape: Shape) -> Floats:
    """Return lognormal regrets, a fifth of the runs without a success."""
    return np.where(rng.random(shape) < 0.2, np.inf, lognormal(rng, shape))


def shared_seeds(rng: np.random.Generator, shape: Shape) -> Floats:
    """Return lognormal regrets of which half the variance belongs to the seed."""
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
    """Return the population that draws, with replacement, from runs of one optimizer.

    Each simulated task is one of theirs, in turn.
    """
    pools = [task.final(name) for task in compare_on(runs).tasks for name in task.curves]

    def draw(rng: np.random.Generator, shape: Shape) -> Floats:
        return np.array([rng.choice(pools[i % len(pools)], shape[1:]) for i in range(shape[0])])

    return draw


def suite_of(values: Floats, instances: bool = False) -> Suite:
    """Return the suite in which run i of optimizer j on task t came to values[t, j, i].

    Args:
        values: (n_tasks, n_optimizers, n_seeds).
        instances: whether each seed is another instance of the problem.
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
