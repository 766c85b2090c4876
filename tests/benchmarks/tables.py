"""Ranks, corrected tests and Markdown tables, for the scripts that fill in results/*/README.md.

Values are those of the incumbents, signed so that lower is better. Two optimizers are compared seed
by seed (`experiments.analysis.statistics.paired`), and Holm's correction covers all comparisons of
a table.
"""

import sys
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from experiments.analysis.results import ROUNDING, Run, label, load
from experiments.analysis.statistics.anytime import Suite, Task, compare_on
from experiments.analysis.statistics.gather import known_optima
from experiments.analysis.statistics.paired import PairedTest, holm, paired
from experiments.analysis.statistics.ranks import rank_columns

LEVEL = 0.05
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"

Values = dict[str, dict[str, dict[int, float]]]
"""By task, optimizer and seed."""

KeyT = TypeVar("KeyT", bound=Hashable)


def suite_of(runs: Iterable[Run], chosen: Callable[[Run], bool] = lambda run: True) -> Suite:
    """Return the suite of the finished runs that are chosen, labelled among themselves."""
    found = label([run for run in runs if run.ended and len(run.ids) and chosen(run)])
    return compare_on(found, optima=known_optima(found))


def seeds_of(runs: Iterable[Run]) -> dict[str, set[int]]:
    """Return the seeds of each optimizer's runs."""
    seeds: dict[str, set[int]] = {}
    for run in runs:
        seeds.setdefault(run.optimizer, set()).add(run.seed)
    return seeds


def at_budget(suite: Suite, mark: float) -> Values:
    """Return the values after a budget, which is at most that of each task."""
    found: Values = {}
    for task in suite.tasks:
        step = int(np.searchsorted(task.grid, mark + ROUNDING, side="right")) - 1
        found[task.name] = {
            name: {seed: float(curve[step]) if step >= 0 else np.inf for seed, curve in own.items()}
            for name, own in task.curves.items()
        }
    return found


def mean_ranks(values: Values, optimizers: Sequence[str]) -> dict[str, float]:
    """Return ranks over the seeds that all optimizers have, averaged over seeds, then tasks."""
    rows = []
    for own in values.values():
        if any(name not in own for name in optimizers):
            continue
        seeds = sorted(set.intersection(*(set(own[name]) for name in optimizers)))
        if seeds:
            columns = np.array([[own[name][seed] for seed in seeds] for name in optimizers])
            rows.append(rank_columns(columns).mean(axis=1))
    if not rows:
        raise ValueError("ranks: expected a task with runs of all optimizers, got none")
    return dict(zip(optimizers, np.mean(rows, axis=0).tolist(), strict=True))


def tested(
    first: Mapping[int, float], second: Mapping[int, float], fixed: tuple[bool, bool]
) -> PairedTest:
    """Test the values of two optimizers on one task on their common seeds.

    Args:
        first: the values of one optimizer, by seed.
        second: those of the other.
        fixed: whether each of the two has the same trajectory for every seed.
    """
    seeds = sorted(set(first) & set(second))
    values = [np.array([own[seed] for seed in seeds]) for own in (first, second)]
    return paired(values[0], values[1], fixed)


def claims(tests: Mapping[KeyT, PairedTest], level: float = LEVEL) -> dict[KeyT, int]:
    """Return -1 where the first is better, 1 where the second is, and 0 where neither is shown."""
    keys = [key for key, test in tests.items() if test.p is not None]
    corrected = holm([test.p for test in tests.values() if test.p is not None])
    shown = {key: p < level for key, p in zip(keys, corrected, strict=True)}
    return {key: test.sign if shown.get(key, False) else 0 for key, test in tests.items()}


def is_fixed(task: Task, *names: str) -> tuple[bool, bool]:
    """Return which of two optimizers have the same trajectory for every seed of a task."""
    first, second = names
    return first in task.fixed, second in task.fixed


def own_seconds(suite: Suite, name: str) -> float:
    """Return the mean seconds per run in ask and tell."""
    runs = [run for task in suite.tasks for run in task.runs.get(name, {}).values()]
    return float(np.mean([run.ask_s.sum() + run.tell_s.sum() for run in runs]))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def seconds(value: float) -> str:
    """Return seconds with two significant digits."""
    return f"{float(f'{value:.2g}'):g} s"


def deliver(command: str, make: Callable[[list[Run]], str]) -> int:
    """Print the text made of the runs of the folders given, and return the exit status.

    With `into=README.md`, the text replaces what stands between the two marks of that file.
    """
    into = [Path(word[5:]) for word in sys.argv[1:] if word.startswith("into=")]
    folders = [Path(word) for word in sys.argv[1:] if not word.startswith("into=")]
    lost = [str(path) for path in (*folders, *into) if not path.exists()]
    if not folders or lost:
        print(f"{command}: expected folders of results, got {lost[0] if lost else 'none'}")
        return 2
    text = make(list(load(folders)))
    for readme in into:
        before, mark, rest = readme.read_text().partition(BEGIN)
        _, end, after = rest.partition(END)
        if not mark or not end:
            print(f"{command}: expected {BEGIN} and {END} in {readme}, got a file without them")
            return 2
        readme.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
    if not into:
        print(text)
    return 0
