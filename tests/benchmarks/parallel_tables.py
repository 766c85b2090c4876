"""The tables of results/parallel/README.md: what asking for many trials at once costs.

    python tests/benchmarks/parallel_tables.py results/parallel results/parallel_slow \
        into=results/parallel/README.md

Prints Markdown, or replaces the tables of a README. Runs with different numbers of workers (q) have
the same seeds and instances, so they are compared seed by seed:

- at equal evaluations, with the same optimizer on one worker;
- in simulated time: the speed-up is the time until the median regret of one worker after half of
  the budget, on one worker divided by that on q, each the median over the seeds;
- `bamsoo` with `gp_bo` at equal simulated time: the time that q workers need, on average over the
  runs of all optimizers, for an eighth, a half and all of the budget.
"""

import sys
from collections.abc import Sequence

import numpy as np
import tables

from experiments.analysis.results import Floats, Run
from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.over_time import steps_at

FIRST, SECOND = "bamsoo†", "gp_bo†"
SHARES = (1 / 8, 1 / 2, 1.0)
Suites = dict[int, Suite]
"""By number of workers."""


def by_workers(runs: Sequence[Run]) -> Suites:
    """Return the suite of the runs with each number of workers, in ascending order."""
    groups: dict[int, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.header.workers, []).append(run)
    return {q: tables.suite_of(groups[q]) for q in sorted(groups)}


def duration(task: Task) -> float:
    """Return the mean simulated duration of a run in seconds, over all optimizers."""
    ends = [run.ends for own in task.runs.values() for run in own.values()]
    return float(np.mean([end.max() for end in ends if end is not None]))


def at_time(suite: Suite, share: float) -> tables.Values:
    """Return the values after a share of the mean simulated duration of the runs of a task."""
    found: tables.Values = {}
    for task in suite.tasks:
        times = np.array([share * duration(task) * (1 + 1e-9)])
        found[task.name] = {
            name: {seed: _value(task, run, curves[seed], times) for seed, run in own.items()}
            for name, own in task.runs.items()
            for curves in [task.curves[name]]
        }
    return found


def _value(task: Task, run: Run, curve: Floats, times: Floats) -> float:
    step = int(steps_at(task, run, times)[0])
    return float(curve[step]) if step >= 0 else float("inf")


def at_equal_evaluations(suites: Suites) -> str:
    """Return on how many tasks more workers make each optimizer distinguishably worse or better."""
    one = suites[1]
    mark = min(task.budget for task in one.tasks)
    alone = tables.at_budget(one, mark)
    many = [q for q in suites if q > 1]
    values = {q: tables.at_budget(suites[q], mark) for q in many}
    tests = {
        (q, name, task.name): tables.tested(
            values[q][task.name][name], alone[task.name][name], tables.is_fixed(task, name, name)
        )
        for q in many
        for task in one.tasks
        for name in task.curves
        if name in values[q].get(task.name, {})
    }
    found = tables.claims(tests)
    rows = []
    for name in one.optimizers:
        cells: list[object] = [name]
        for q in many:
            signs = [sign for (k, own, _), sign in found.items() if (k, own) == (q, name)]
            logs = [x for task in one.tasks for x in _log_ratio(suites[q], task, name)]
            cells.append(f"{np.mean(logs):+.2f} ({signs.count(1)} / {signs.count(-1)})")
        rows.append(cells)
    head = ["optimizer", *(f"q = {q}" for q in many)]
    said = f"Holm's correction over these {len(tests)} comparisons, level {tables.LEVEL:g}."
    return tables.table(head, rows) + f"\n\n{said}"


def _log_ratio(suite: Suite, one: Task, name: str) -> list[float]:
    """Return log10 of the median regret of q workers relative to that of one, on one task."""
    task = next((task for task in suite.tasks if task.name == one.name), None)
    if task is None or name not in task.curves or name not in one.curves:
        return []
    regrets = [float(np.median(_regret(each, name)[:, -1])) for each in (task, one)]
    low = [max(regret, 1e-8) for regret in regrets]
    return [float(np.log10(low[0] / low[1]))]


def _regret(task: Task, name: str) -> Floats:
    """Return the regret in natural units, (n_seeds, n_steps)."""
    seeds = sorted(task.curves[name])
    reference = np.array([[task.reference[seed]] for seed in seeds])
    return np.asarray(np.maximum(task.matrix(name, seeds) - reference, 0.0))


def speed_ups(suites: Suites) -> str:
    """Return the median over tasks of the speed-up until the level of one worker."""
    many = [q for q in suites if q > 1]
    rows = []
    for name in suites[1].optimizers:
        cells: list[object] = [name]
        for q in many:
            found = [_speed_up(suites, q, task, name) for task in suites[1].tasks]
            ratios = [each for each in found if each is not None]
            missed = sum(each == 0 for each in ratios)
            shown = f"{np.median(ratios):.1f}" if ratios else "-"
            cells.append(f"{shown} ({missed})" if missed else shown)
        rows.append(cells)
    return tables.table(["optimizer", *(f"q = {q}" for q in many)], rows)


def _speed_up(suites: Suites, q: int, one: Task, name: str) -> float | None:
    """Return the speed-up on one task; 0 if half of the runs of q workers miss the level."""
    many = next((task for task in suites[q].tasks if task.name == one.name), None)
    if many is None or name not in many.curves or name not in one.curves:
        return None
    half = int(np.searchsorted(one.grid, one.budget / 2))
    level = float(np.median(_regret(one, name)[:, half]))
    first, second = (_median_time(task, name, level) for task in (one, many))
    return 0.0 if np.isinf(second) else first / second


def _median_time(task: Task, name: str, level: float) -> float:
    """Return the median simulated time until a regret, in seconds."""
    found = []
    regrets = _regret(task, name)
    for row, seed in enumerate(sorted(task.curves[name])):
        run = task.runs[name][seed]
        assert run.ends is not None
        reached = np.flatnonzero(regrets[row] <= level * (1 + 1e-12))
        # One step of the grid is one evaluation, because all of them are full.
        found.append(run.ends[reached[0]] if len(reached) else np.inf)
    return float(np.median(found))


def against(suites: Suites) -> str:
    """Return where one optimizer is ahead of the other at equal simulated time."""
    tests = {
        (q, share, task.name): tables.tested(
            values[task.name][FIRST],
            values[task.name][SECOND],
            tables.is_fixed(task, FIRST, SECOND),
        )
        for q, suite in suites.items()
        for share in SHARES
        for values in [at_time(suite, share)]
        for task in suite.tasks
        if FIRST in task.curves and SECOND in task.curves
    }
    found = tables.claims(tests)
    rows = [
        [q, *(_said([found[key] for key in found if key[:2] == (q, share)]) for share in SHARES)]
        for q in suites
    ]
    head = ["q", *(f"{share:.3g} of the time" for share in SHARES)]
    ahead = sum(sign < 0 for (q, _, _), sign in found.items() if q >= 4)
    n = sum(q >= 4 for q, _, _ in found)
    times = [tables.own_seconds(suites[1], name) for name in (FIRST, SECOND)]
    answer = (
        f"At q >= 4, `{FIRST}` is distinguishably ahead of `{SECOND}` in {ahead} of {n} "
        f"comparisons, and behind in {sum(s > 0 for (q, _, _), s in found.items() if q >= 4)}. "
        f"Its own time per run is {tables.seconds(times[0])}, that of `{SECOND}` "
        f"{tables.seconds(times[1])} (q = 1)."
    )
    return tables.table(head, rows) + f"\n\n{answer}"


def _said(signs: Sequence[int]) -> str:
    return f"ahead {signs.count(-1)}, behind {signs.count(1)}, open {signs.count(0)}"


def ranks(suites: Suites) -> str:
    """Return the mean ranks at the full budget for each number of workers."""
    names = sorted(set.intersection(*(set(suite.optimizers) for suite in suites.values())))
    found = {
        q: tables.mean_ranks(
            tables.at_budget(suite, min(task.budget for task in suite.tasks)), names
        )
        for q, suite in suites.items()
    }
    rows = [
        [
            name,
            *(f"{found[q][name]:.1f}" for q in found),
            tables.seconds(tables.own_seconds(suites[max(found)], name)),
        ]
        for name in sorted(names, key=lambda name: sum(own[name] for own in found.values()))
    ]
    head = ["optimizer", *(f"q = {q}" for q in found), f"own time per run, q = {max(found)}"]
    return tables.table(head, rows)


def text(runs: list[Run]) -> str:
    """Return all tables."""
    suites = by_workers(runs)
    return "\n\n".join(
        [
            f"Mean ranks at the full budget:\n\n{ranks(suites)}",
            "At equal evaluations: log10 of the median regret relative to one worker, the mean "
            "over the tasks (number of tasks on which it is distinguishably worse / better):\n\n"
            + at_equal_evaluations(suites),
            "Speed-up in simulated time, the median over the tasks (in brackets: tasks on which "
            f"half of the runs miss the level):\n\n{speed_ups(suites)}",
            f"`{FIRST}` against `{SECOND}` at equal simulated time, number of tasks:\n\n"
            + against(suites),
        ]
    )


if __name__ == "__main__":
    sys.exit(tables.deliver("parallel_tables", text))
