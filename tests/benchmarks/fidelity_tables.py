"""The tables of results/multi_fidelity/README.md: do low fidelities pay off?

    python tests/benchmarks/fidelity_tables.py results/multi_fidelity \
        into=results/multi_fidelity/README.md

Prints Markdown, or replaces the tables of a README. Only full evaluations are compared. Every
optimizer is compared with random search seed by seed, after shares of the budget in full
evaluations, and after shares of the simulated time of a run (the mean over all optimizers of the
task with as many workers).
"""

import sys

import numpy as np
import parallel_tables
import tables

from experiments.analysis.results import Run
from experiments.analysis.statistics.anytime import Suite

BASELINE = "random"
SHARES = (1 / 4, 1 / 2, 1.0)


def at_share(suite: Suite, share: float, currency: str) -> tables.Values:
    """Return the values after a share of the budget or of the simulated time."""
    if currency == "time":
        return parallel_tables.at_time(suite, share)
    return tables.at_budget(suite, share * min(task.budget for task in suite.tasks))


def standings(suite: Suite, currency: str) -> str:
    """Return mean ranks and claims against random search at each share of a currency."""
    values = {share: at_share(suite, share, currency) for share in SHARES}
    names = suite.optimizers
    ranks = {share: tables.mean_ranks(own, names) for share, own in values.items()}
    tests = {
        (share, name, task.name): tables.tested(
            values[share][task.name][name],
            values[share][task.name][BASELINE],
            tables.is_fixed(task, name, BASELINE),
        )
        for share in SHARES
        for task in suite.tasks
        for name in names
        if name != BASELINE
    }
    found = tables.claims(tests)
    rows = []
    for name in sorted(names, key=lambda name: ranks[1.0][name]):
        cells = [name]
        for share in SHARES:
            signs = [sign for (s, own, _), sign in found.items() if (s, own) == (share, name)]
            told = f" ({signs.count(-1)} / {signs.count(1)})" if signs else ""
            cells.append(f"{ranks[share][name]:.1f}{told}")
        rows.append(cells)
    unit = "budget" if currency == "evaluations" else "simulated time"
    head = ["optimizer", *(f"{share:g} of the {unit}" for share in SHARES)]
    return tables.table(head, rows) + f"\n\nHolm's correction over these {len(tests)} comparisons."


def medians(suite: Suite) -> str:
    """Return the median value at the incumbent at the full budget, task by task."""
    rows = [
        [name, *(f"{np.median(task.final(name)):.4g}" for task in suite.tasks)]
        for name in suite.optimizers
    ]
    return tables.table(["optimizer", *(task.name for task in suite.tasks)], rows)


def text(runs: list[Run]) -> str:
    """Return all tables."""
    parts = []
    for q, suite in parallel_tables.by_workers(runs).items():
        workers = "one worker" if q == 1 else f"{q} workers"
        n = len(suite.tasks[0].seeds)
        parts.append(f"### {workers.capitalize()}, {len(suite.tasks)} tasks, {n} seeds")
        for currency in ("evaluations", "time"):
            parts.append(
                f"Mean rank (tasks on which it is distinguishably better / worse than `{BASELINE}`)"
                f" after shares of the {'budget' if currency == 'evaluations' else 'time'}:\n\n"
                f"{standings(suite, currency)}"
            )
        parts.append(f"Median value at the incumbent at the full budget:\n\n{medians(suite)}")
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(tables.deliver("fidelity_tables", text))
