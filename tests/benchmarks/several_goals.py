"""Optimizers of several goals, from the runs of conf/experiment/several_goals.yaml.

    python tests/benchmarks/several_goals.py results/several_goals

Prints the tables of results/several_goals/README.md in Markdown, in about a minute. All
comparisons are those of `tuneoff verdict`: exact signed-rank tests over seeds, corrected by Holm
over all pairs on all tasks. "Distinguishable from random" is counted in both directions.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from experiments.analysis.results import Run
from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.fronts import HYPERVOLUME, IGD_PLUS
from experiments.analysis.statistics.gather import gather
from experiments.analysis.statistics.ranks import rank_table
from experiments.analysis.statistics.verdict import Verdict, verdict

MARKS = (20, 40, 60)
BASELINE = "random"


def _runs(suite: Suite, name: str) -> Iterator[Run]:
    return (run for task in suite.tasks for run in task.runs[name].values())


def _ordered(suite: Suite) -> list[str]:
    """Return the optimizers by their mean rank at the end."""
    _, table = rank_table(suite)
    places = dict(zip(suite.optimizers, table.mean(axis=0), strict=True))
    return sorted(suite.optimizers, key=lambda name: places[name])


def _against(found: Verdict, name: str) -> str:
    """Return on how many tasks an optimizer is better, alike and worse than the baseline."""
    own = [one for one in found.within if {one.first, one.second} == {name, BASELINE}]
    better = sum(one.better == name for one in own)
    worse = sum(one.better == BASELINE for one in own)
    return f"{better} / {len(own) - better - worse} / {worse}" if own else ""


def over_tasks(suite: Suite, found: Verdict) -> str:
    """Return the mean ranks, and what a run costs."""
    rows = {mark: rank_table(suite, mark - 1)[1].mean(axis=0) for mark in MARKS}
    lines = [
        f"| optimizer | mean rank after {' / '.join(map(str, MARKS))} | better / not "
        f"distinguishable / worse than {BASELINE}, tasks | own seconds per run | failed |",
        "|---|---|---|---|---|",
    ]
    for name in _ordered(suite):
        place = suite.optimizers.index(name)
        ranks = " / ".join(f"{rows[mark][place]:.1f}" for mark in MARKS)
        seconds = np.mean([run.ask_s.sum() + run.tell_s.sum() for run in _runs(suite, name)])
        failed = np.mean(np.concatenate([run.failed for run in _runs(suite, name)]))
        lines.append(
            f"| {name} | {ranks} | {_against(found, name)} | {seconds:.2g} | {failed:.1%} |"
        )
    return "\n".join(lines)


def _best(task: Task, found: Verdict, medians: dict[str, float]) -> set[str]:
    """Return the optimizer of the best median and those not distinguishable from it."""
    first = min(medians, key=lambda name: medians[name])
    behind = {
        one.second if one.first == first else one.first
        for one in found.within
        if one.task == task.name and one.better == first
    }
    return set(medians) - behind


def by_task(suite: Suite, found: Verdict) -> str:
    """Return the medians at the end by task.

    A hypervolume is a share of the largest one if that is known. The best is bold, and so is every
    optimizer that is not distinguishable from it.
    """
    names = _ordered(suite)
    lines = [f"| task | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for task in suite.tasks:
        medians = {name: float(np.median(task.final(name))) for name in names}
        best = _best(task, found, medians)
        cells = []
        for name in names:
            shown = f"{_shown(suite, task, medians[name])}"
            cells.append(f"**{shown}**" if name in best else shown)
        lines.append(f"| {task.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _shown(suite: Suite, task: Task, median: float) -> str:
    if task.compared != HYPERVOLUME:
        return f"{median:.3g}"
    if task.known:
        return f"{median / next(iter(task.reference.values())):.1%}"
    return f"{-median:.4g}"


def evaluations(suite: Suite) -> str:
    """Return the median evaluations until the baseline's median hypervolume at the end."""
    names = [name for name in _ordered(suite) if name != BASELINE]
    lines = [f"| task | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for task in suite.tasks:
        level = float(np.median(task.final(BASELINE)))
        cells = []
        for name in names:
            reached = task.matrix(name) <= level
            first = np.where(reached.any(axis=1), task.grid[reached.argmax(axis=1)], np.inf)
            middle = float(np.median(first))
            cells.append(f"{middle:g}" if np.isfinite(middle) else f"> {task.budget:g}")
        lines.append(f"| {task.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not Path(arguments[0]).exists():
        print(f"several_goals: expected a folder of results, got {' '.join(arguments) or 'none'}")
        return 2
    volumes, distances = (
        gather([Path(arguments[0])], metric) for metric in (HYPERVOLUME, IGD_PLUS)
    )
    found = verdict(volumes)
    n_runs = sum(len(own) for task in volumes.tasks for own in task.runs.values())
    own_s = sum(
        run.ask_s.sum() + run.tell_s.sum()
        for name in volumes.optimizers
        for run in _runs(volumes, name)
    )
    print(f"{n_runs} runs; the optimizers' own time is {own_s / 3600:.1f} hours in total.\n")
    print(f"By hypervolume, over {len(volumes.tasks)} tasks:\n\n{over_tasks(volumes, found)}\n")
    print(f"Median hypervolume after {MARKS[-1]} evaluations:\n\n{by_task(volumes, found)}\n")
    print(f"Median IGD+:\n\n{by_task(distances, verdict(distances))}\n")
    print(f"Median evaluations until {BASELINE}'s final median:\n\n{evaluations(volumes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
