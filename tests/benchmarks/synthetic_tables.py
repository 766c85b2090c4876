"""The tables of results/synthetic_small_budget/README.md and of synthetic_centred beside it.

    python tests/benchmarks/synthetic_tables.py results/synthetic_small_budget
    python tests/benchmarks/synthetic_tables.py results/synthetic_small_budget \
        results/synthetic_small_budget_slow into=results/synthetic_small_budget/README.md

Prints Markdown, or replaces the tables of a README. If optimizers have different instances, a
second table has all optimizers on the instances that all of them have.
"""

import sys

import numpy as np
import tables

from experiments.analysis.results import Run
from experiments.analysis.statistics.anytime import Suite
from experiments.analysis.statistics.comparisons import across_tasks, corrected

MARKS = (10, 20, 30, 50)
BASELINE = "random"
OURS = "gp_bo†"
GROUPS = ("separable", "moderate", "ill-conditioned", "multimodal", "weak structure", "classical")
_LAST = (5, 9, 14, 19, 24)  # the last of BBOB's functions in each of the first five groups


def group_of(task: str) -> str:
    """Return the group of a task."""
    if not task.startswith("bbob"):
        return GROUPS[-1]
    number = int(task.split("function=")[1].split()[0])
    return next(name for name, last in zip(GROUPS, _LAST, strict=False) if number <= last)


def standings(suite: Suite) -> str:
    """Return mean ranks, what each optimizer is better than across the tasks, and its time."""
    names = suite.optimizers
    ranks = [tables.mean_ranks(tables.at_budget(suite, mark), names) for mark in MARKS]
    pairs = corrected(across_tasks(suite, tables.LEVEL, 0.0), 1)
    behind: dict[str, list[str]] = {name: [] for name in names}
    for one in pairs:
        if one.better is not None:
            behind[one.better].append(one.second if one.better == one.first else one.first)
    rows = []
    for name in sorted(names, key=lambda name: ranks[-1][name]):
        areas = [task.area(name).mean() for task in suite.tasks if name in task.curves]
        beaten = sorted(behind[name], key=lambda other: ranks[-1][other])
        rows.append(
            [
                name,
                " / ".join(f"{own[name]:.1f}" for own in ranks),
                ", ".join(beaten) or "none",
                f"{np.mean(areas):.3f}",
                tables.seconds(tables.own_seconds(suite, name)),
            ]
        )
    head = ["optimizer", f"mean rank at {' / '.join(map(str, MARKS))}", "better than"]
    shown = sum(one.better is not None for one in pairs)
    said = f"{shown} of {len(pairs)} pairs are distinguishable across {len(suite.tasks)} tasks."
    return tables.table([*head, "regret area", "own time per run"], rows) + f"\n\n{said}"


def within_functions(suite: Suite) -> str:
    """Return on how many functions each optimizer is distinguishable from two references."""
    values = tables.at_budget(suite, MARKS[-1])
    tests = {
        (task.name, name, reference): tables.tested(
            values[task.name][name],
            values[task.name][reference],
            tables.is_fixed(task, name, reference),
        )
        for task in suite.tasks
        for reference in (BASELINE, OURS)
        for name in suite.optimizers
        if name not in (BASELINE, reference)
    }
    found = tables.claims(tests)
    rows = []
    for name in suite.optimizers:
        cells: list[object] = [name]
        for reference in (BASELINE, OURS):
            signs = [s for (_, a, b), s in found.items() if (a, b) == (name, reference)]
            cells.append(f"{signs.count(-1)} / {signs.count(1)}" if signs else "")
        rows.append(cells)
    rows.sort(key=lambda row: -int(str(row[1] or "-1").split(" ")[0]))
    head = ["optimizer", f"functions better / worse than {BASELINE}", f"than {OURS}"]
    n = len(tests)
    return tables.table(head, rows) + f"\n\nHolm's correction over these {n} comparisons."


def by_group(suite: Suite) -> str:
    """Return the mean ranks at the last budget in each group of functions."""
    values = tables.at_budget(suite, MARKS[-1])
    groups = [name for name in GROUPS if any(group_of(task) == name for task in values)]
    ranks = {
        name: tables.mean_ranks(
            {task: own for task, own in values.items() if group_of(task) == name}, suite.optimizers
        )
        for name in groups
    }
    every = tables.mean_ranks(values, suite.optimizers)
    rows = [
        [name, *(f"{ranks[group][name]:.1f}" for group in groups)]
        for name in sorted(suite.optimizers, key=lambda name: every[name])
    ]
    return tables.table(["optimizer", *groups], rows)


def worse_than_random(suite: Suite) -> str:
    """Return on how many tasks the mean regret of each optimizer is above that of random search."""
    found = {
        name: [
            task.name
            for task in suite.tasks
            if name in task.curves
            if task.regret(name, task.seeds)[:, -1].mean()
            > task.regret(BASELINE, task.seeds)[:, -1].mean()
        ]
        for name in suite.optimizers
        if name != BASELINE
    }
    told = [
        f"`{name}` {len(tasks)}" for name, tasks in sorted(found.items(), key=lambda x: len(x[1]))
    ]
    return f"Functions on which the mean regret is worse than {BASELINE}'s: {', '.join(told)}."


def text(runs: list[Run]) -> str:
    """Return all tables."""
    seeds = tables.seeds_of(runs)
    most = max(map(len, seeds.values()))
    suite = tables.suite_of(runs, lambda run: len(seeds[run.optimizer]) == most)
    n = len(suite.tasks[0].seeds)
    parts = [f"{len(suite.optimizers)} optimizers, {n} instances:\n\n{standings(suite)}"]
    parts.append(f"Mean ranks after {MARKS[-1]} evaluations by group:\n\n{by_group(suite)}")
    if BASELINE in suite.optimizers and OURS in suite.optimizers:
        parts.append(f"Within single functions:\n\n{within_functions(suite)}")
        parts.append(worse_than_random(suite))
    if len(seeds) > len(suite.optimizers):
        common = set.intersection(*seeds.values())
        every = tables.suite_of(runs, lambda run: run.seed in common)
        head = f"All {len(every.optimizers)} optimizers, the {len(common)} instances of all of them"
        parts.append(f"{head}:\n\n{standings(every)}")
        parts.append(f"Mean ranks of all by group:\n\n{by_group(every)}")
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(tables.deliver("synthetic_tables", text))
