"""The tables of results/high_dimensional/README.md: who finds the few parameters that matter?

    python tests/benchmarks/high_dimensional_tables.py results/high_dimensional \
        into=results/high_dimensional/README.md
    python tests/benchmarks/high_dimensional_tables.py results/high_dimensional \
        results/high_dimensional_slow

Prints Markdown, or replaces the tables of a README. If optimizers have different seeds, a second
set of tables has all optimizers on the problems and seeds that all of them have.
"""

import sys

import numpy as np
import tables

from experiments.analysis.results import Run
from experiments.analysis.statistics.anytime import Suite, Task

MARKS = (20, 30, 50)
BASELINE = "random"
FLOOR = 1e-8


def dimension(task: Task) -> int:
    """Return the number of parameters of a task."""
    run = next(run for own in task.runs.values() for run in own.values())
    return int(run.header.objective.get("dimension", max(map(len, run.configs))))


def ranks(suite: Suite) -> str:
    """Return the mean ranks by number of parameters, with the own time per run."""
    names = suite.optimizers
    sizes = sorted({dimension(task) for task in suite.tasks})
    last = tables.at_budget(suite, MARKS[-1])
    by_size = {
        size: tables.mean_ranks(
            {task.name: last[task.name] for task in suite.tasks if dimension(task) == size}, names
        )
        for size in sizes
    }
    every = [tables.mean_ranks(tables.at_budget(suite, mark), names) for mark in MARKS]
    rows = [
        [
            name,
            *(f"{by_size[size][name]:.1f}" for size in sizes),
            " / ".join(f"{own[name]:.1f}" for own in every),
            tables.seconds(tables.own_seconds(suite, name)),
        ]
        for name in sorted(names, key=lambda name: every[-1][name])
    ]
    head = ["optimizer", *(f"D = {size}" for size in sizes)]
    return tables.table([*head, f"all, at {' / '.join(map(str, MARKS))}", "own time per run"], rows)


def against_random(suite: Suite) -> str:
    """Return on how many problems each optimizer is distinguishably better or worse than random."""
    sizes = sorted({dimension(task) for task in suite.tasks})
    values = tables.at_budget(suite, MARKS[-1])
    names = [name for name in suite.optimizers if name != BASELINE]
    tests = {
        (dimension(task), name, task.name): tables.tested(
            values[task.name][name],
            values[task.name][BASELINE],
            tables.is_fixed(task, name, BASELINE),
        )
        for task in suite.tasks
        for name in names
    }
    found = tables.claims(tests)
    rows = []
    for name in names:
        cells: list[object] = [name]
        for size in sizes:
            signs = [sign for (d, own, _), sign in found.items() if (d, own) == (size, name)]
            gains = [_gain(task, name) for task in suite.tasks if dimension(task) == size]
            cells.append(
                f"{np.mean(gains):+.2f} ({signs.count(-1)} / {signs.count(1)} of {len(signs)})"
            )
        rows.append(cells)
    said = f"Holm's correction over these {len(tests)} comparisons, level {tables.LEVEL:g}."
    return tables.table(["optimizer", *(f"D = {d}" for d in sizes)], rows) + f"\n\n{said}"


def _gain(task: Task, name: str) -> float:
    """Return log10 of the median regret relative to that of random search."""
    seeds = task.seeds
    reference = np.array([task.reference[seed] for seed in seeds])
    regrets = [
        max(float(np.median(np.maximum(task.final(each, seeds) - reference, 0.0))), FLOOR)
        for each in (name, BASELINE)
    ]
    return float(np.log10(regrets[0] / regrets[1]))


def text(runs: list[Run]) -> str:
    """Return all tables."""
    seeds = tables.seeds_of(runs)
    most = max(map(len, seeds.values()))
    suite = tables.suite_of(runs, lambda run: len(seeds[run.optimizer]) == most)
    parts = [_tables(suite)]
    if len(seeds) > len(suite.optimizers):
        common = set.intersection(*seeds.values())
        every = tables.suite_of(runs, lambda run: run.seed in common)
        shared = {
            run.header.identity
            for task in every.tasks
            if len(task.curves) == len(every.optimizers)
            for own in task.runs.values()
            for run in own.values()
        }
        parts.append(_tables(tables.suite_of(runs, lambda run: run.header.identity in shared)))
    return "\n\n".join(parts)


def _tables(suite: Suite) -> str:
    n = len(suite.tasks[0].seeds)
    return (
        f"{len(suite.optimizers)} optimizers, {len(suite.tasks)} problems, {n} seeds. Mean ranks "
        f"after {MARKS[-1]} evaluations by the number D of parameters:\n\n{ranks(suite)}\n\n"
        f"log10 of the median regret relative to `{BASELINE}`, the mean over the problems (number "
        f"of problems distinguishably better / worse):\n\n{against_random(suite)}"
    )


if __name__ == "__main__":
    sys.exit(tables.deliver("high_dimensional_tables", text))
