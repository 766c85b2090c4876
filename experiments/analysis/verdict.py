"""`tuneoff verdict`: which optimizers are distinguishable, and what the runs cannot show.

Runs are compared at their common budget by the value of their incumbents, or by another metric of
the incumbents. Mean ranks follow the verdict, with the budget counted in evaluations, in time
(including the optimizer's own), and in the cost of the evaluations. The incumbent of an unfinished
run is carried forward to the common budget.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.analysis.labels import is_own
from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.currencies import CURRENCIES, CurrencyRanks, currency_ranks
from experiments.analysis.statistics.gather import gather
from experiments.analysis.statistics.items import compare_items, has_items
from experiments.analysis.statistics.pairs import as_csv, pairs
from experiments.analysis.statistics.ranks import LEAST_TASKS, critical_difference, rank_table
from experiments.analysis.statistics.verdict import LEVEL, counted, listed, sentences, verdict
from experiments.running.looks import OWN
from experiments.running.readers import by_metric, number, one_of
from experiments.running.readers import path as as_path
from experiments.running.settings import Command, Given, Setting
from experiments.running.whole_files import whole

_LEAST_P = 1e-15  # of Friedman's test, whose distribution is approximate
_QUICK_S = 0.01  # below this cost of an evaluation, the optimizer's own time dominates


COMMAND = Command(
    "verdict",
    "Say which optimizers are distinguishable, and what the runs cannot show.",
    [
        ("tuneoff verdict results/smoke", "compared by the minimised value"),
        ("tuneoff verdict results/lora metric=accuracy equal=0.002", "by a metric, with ties"),
        ("tuneoff verdict results/smoke pairs=pairs.csv", "also writes the numbers of every pair"),
    ],
    [
        Setting("metric", "The metric to compare by.", shown="the minimised value"),
        Setting(
            "direction",
            "Whether lower (min) or higher (max) values of the metric are better.",
            one_of("min", "max"),
            shown="as the objective declares",
        ),
        Setting(
            "level",
            "The family-wise error rate of the verdict: the probability of any false claim.",
            number(0, 0.5, above=True),
            default=LEVEL,
        ),
        Setting(
            "equal",
            "Differences up to this size are ties, which the tests leave out.",
            number(0),
            default=0.0,
        ),
        Setting(
            "references",
            "The references of the hypervolume by goal. Choose them without regard to the runs.",
            by_metric("references", "{ttft_p90_s: 6}"),
            shown="as the runs declare",
        ),
        Setting(
            "pairs",
            "A CSV file with one row per pair: the p-value, the probability of improvement, and "
            "the Bayesian signed-rank test with a region of practical equivalence, on normalised "
            "regret capped at 1.",
            as_path,
            shown="no file",
        ),
    ],
    folders="Folders of runs, or files written by tuneoff pack.",
)


def report(suite: Suite, level: float, equal: float) -> str:
    """Return the notes, the verdict, mean ranks, and their critical difference."""
    lines = [f"note: {note}" for note in suite.notes]
    lines += sentences(suite, verdict(suite, level, equal))
    if len(suite.optimizers) > 1:
        ranks = currency_ranks(suite)
        lines += ["", *(_table(suite, ranks) if ranks else [_UNRANKED]), ""]
        lines += [_critical(suite, level), *_items(suite, level)]
    return "\n".join(lines)


_UNRANKED = "There are no mean ranks: no task has runs of all optimizers with common seeds."


def _table(suite: Suite, found: CurrencyRanks) -> list[str]:
    """Return mean ranks, and how many places they move relative to the ranks by evaluations."""
    beside = [f"without {OWN}"] if found.others else []
    rows = [["mean rank by", *CURRENCIES, *beside, "own time", "failed", "no success"]]
    place = {
        currency: {name: i for i, name in enumerate(sorted(own, key=lambda name: own[name]))}
        for currency, own in found.ranks.items()
    }
    flipped = {(name, currency) for *pair, currency in found.flips for name in pair}
    for name in sorted(suite.optimizers, key=lambda name: found.ranks["evaluations"][name]):
        cells = [name]
        for currency in CURRENCIES:
            moved = place["evaluations"][name] - place[currency][name]
            mark = f" {moved:+d}" if moved and (name, currency) in flipped else "   "
            rank = found.ranks[currency][name]
            cells.append("-   " if np.isnan(rank) else f"{rank:.2f}{mark}")
        if beside:
            cells.append(f"{found.others[name]:.2f}" if name in found.others else "-")
        rows.append([*cells, f"{found.own_share[name]:.0%}", *_failures(suite, name)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    quick = [task.name for task in suite.tasks if _is_quick(task)]
    if quick:
        shown = listed(quick if len(quick) < 4 else [*quick[:3], "others"])
        lines.append(
            f"On {shown}, a typical evaluation takes less than {_QUICK_S:g} s, so time and cost "
            f"say nothing about an expensive objective."
        )
    if any(is_own(name) for name in suite.optimizers):
        lines.append(
            f"{OWN}: a method of this suite's own, judged by its authors; the column without {OWN} "
            f"ranks the other optimizers by evaluations"
            if beside
            else f"{OWN}: a method of this suite's own, judged by its authors"
        )
    if found.flips:
        lines.append(
            "+n, -n: places gained or lost relative to evaluations; pairs whose order changes: "
            f"{len({(a, b) for a, b, _ in found.flips})}"
        )
    return lines


def _is_quick(task: Task) -> bool:
    """Return whether a typical successful evaluation is too short for its time to be meaningful."""
    costs = [run.costs[~run.failed] for own in task.runs.values() for run in own.values()]
    every = np.concatenate([*costs, np.zeros(0)])
    return bool(len(every)) and float(np.median(every)) < _QUICK_S


def _failures(suite: Suite, name: str) -> tuple[str, str]:
    """Return how many evaluations failed, and how many runs have no successful evaluation."""
    failed = sum(sum(task.n_failed.get(name, {}).values()) for task in suite.tasks)
    finals = [task.final(name) for task in suite.tasks if name in task.curves]
    without = sum(int(np.isinf(final).sum()) for final in finals)
    return str(failed), str(without)


def _critical(suite: Suite, level: float) -> str:
    """Return Nemenyi's critical difference with its power, or why there is none."""
    found = critical_difference(suite, level)
    if found is None:
        return (
            f"There is no critical difference of mean ranks: it requires at least three optimizers "
            f"and more than {LEAST_TASKS} tasks with runs of all of them; the numbers here are "
            f"{len(suite.optimizers)} and {len(rank_table(suite)[0])}."
        )
    p = f"p = {found.p:.2g}" if found.p >= _LEAST_P else f"p < {_LEAST_P:g}"
    return (
        f"Over {found.n_tasks} tasks, the critical difference of mean ranks is "
        f"{found.difference:.2f} (Nemenyi test at significance level {level:g}; Friedman test: "
        f"{p}). A true difference of {found.detectable:.2f} would be detected with a power of 80 %."
    )


def _items(suite: Suite, level: float) -> list[str]:
    """Say which incumbents differ on the items of a metric, if evaluations log these items."""
    lines = []
    for task in suite.tasks:
        metric = suite.quantity.metric or next(
            run.header.metric for own in task.runs.values() for run in own.values()
        )
        if metric is None or not has_items(task, metric):
            continue
        found = compare_items(task, metric)
        told = "; ".join(
            f"{one.first} and {one.second} differ by {one.difference:+.3g} "
            f"(p = {one.corrected:.2g})"
            for one in found
            if one.corrected < level
        )
        lines.append(
            f"Item by item on {task.name}, {found[0].n_items if found else 0} items of {metric}: "
            f"{told or 'no two incumbents are distinguishable'} ({counted(len(found), 'pair')}, "
            f"Holm-corrected). This compares these configurations, not the optimizers."
        )
    return lines


def main(arguments: Sequence[str]) -> int:
    """Print the verdict; return the exit status."""
    return COMMAND.answer(arguments, _verdict)


def _verdict(given: Given) -> int:
    file: Path | None = given["pairs"]
    level, equal = given["level"], given["equal"]
    suite = gather(
        given.folders,
        given["metric"],
        given["direction"],
        optima=file is not None,
        references=given["references"],
    )
    print(report(suite, level, equal))
    if file is not None:
        with whole(file, "pairs") as new:
            new.write_text(as_csv(pairs(suite, verdict(suite, level, equal))), encoding="utf-8")
        print(f"\nnumbers of every pair: {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
