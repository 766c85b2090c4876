"""Paired inference item by item, where evaluations log per-item outcomes.

It tests whether the incumbents of two optimizers differ on these items; only several seeds can
show whether the optimizers differ. With several seeds, an item's outcome is the mean over the
incumbents of the common seeds. Each pair is tested over items by the exact signed-rank test
(`signed_rank`), with Holm's correction over all pairs. For right and wrong answers this is the
exact McNemar test. Items on which two incumbents do not differ carry no information and are left
out.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from experiments.analysis.results import Floats, Run
from experiments.analysis.statistics.anytime import Task
from experiments.analysis.statistics.paired import differences, holm
from experiments.analysis.statistics.signed_rank import signed_rank
from objectives.items import unpack


@dataclass(frozen=True)
class ItemComparison:
    """Two optimizers' incumbents on the same items.

    Attributes:
        difference: the mean over items of (first - second), in natural units.
        standard_error: the standard error of the difference, paired by item; NaN for one item.
        corrected: the p-value, Holm-corrected over all pairs.
    """

    first: str
    second: str
    difference: float
    standard_error: float
    corrected: float
    n_items: int
    n_seeds: int


def has_items(task: Task, metric: str) -> bool:
    """Return whether every optimizer has a run whose incumbent logged outcomes of the metric."""
    return bool(task.runs) and all(
        any(_packed(task, run, metric) is not None for run in by_seed.values())
        for by_seed in task.runs.values()
    )


def compare_items(task: Task, metric: str) -> list[ItemComparison]:
    """Compare the incumbents of every pair of optimizers at the common budget.

    Raises:
        ValueError: outcomes do not average to the metric, or their number differs between runs.
    """
    outcomes = _aligned(
        task.name, {name: _outcomes(task, runs, metric) for name, runs in task.runs.items()}
    )
    found, p_values = [], []
    for first, second in combinations(sorted(outcomes), 2):
        seeds = sorted(outcomes[first].keys() & outcomes[second].keys())
        if not seeds:
            continue
        a, b = (np.mean([outcomes[name][s] for s in seeds], axis=0) for name in (first, second))
        d = differences(a, b)
        error = float(d.std(ddof=1) / np.sqrt(len(d))) if len(d) > 1 else float("nan")
        p_values.append(signed_rank(d)[0])
        found.append((first, second, float(d.mean()), error, len(d), len(seeds)))
    return [
        ItemComparison(first, second, difference, error, p, n_items, n_seeds)
        for (first, second, difference, error, n_items, n_seeds), p in zip(
            found, holm(p_values), strict=True
        )
    ]


def _packed(task: Task, run: Run, metric: str) -> str | None:
    place = _place(task, run)
    return None if place is None else run.items[place].get(metric)


def _place(task: Task, run: Run) -> int | None:
    """Return the index of the incumbent at the common budget, if it is a full evaluation."""
    place = run.incumbent(task.budget)
    return None if place is None or run.fidelities[place] < 1.0 else place


def _outcomes(task: Task, runs: dict[int, Run], metric: str) -> dict[int, Floats]:
    """Return the outcomes of the incumbents by seed, (n_items,) each."""
    found: dict[int, Floats] = {}
    for seed, run in runs.items():
        text, place = _packed(task, run, metric), _place(task, run)
        if text is not None and place is not None:
            found[seed] = unpack(text, float(run.metrics[metric][place]))
    return found


def _aligned(name: str, outcomes: dict[str, dict[int, Floats]]) -> dict[str, dict[int, Floats]]:
    """Truncate all outcomes to the same items, checking that only padding is removed.

    If all outcomes of a run are 0, its last byte does not show where the padding begins; the
    outcomes of other runs do.
    """
    every = [outcome for by_seed in outcomes.values() for outcome in by_seed.values()]
    least = min(map(len, every), default=0)
    if any(outcome[least:].any() for outcome in every):
        sizes = sorted({len(outcome) for outcome in every})
        raise ValueError(f"{name}: expected the same number of items in all runs, got {sizes}")
    return {
        optimizer: {seed: outcome[:least] for seed, outcome in by_seed.items()}
        for optimizer, by_seed in outcomes.items()
    }
