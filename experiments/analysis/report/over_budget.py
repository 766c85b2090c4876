"""Charts over the budget: convergence on each objective, ranks, targets, and optimizers' time."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.report.chart import Axis, Chart, Number, Series, numbers
from experiments.analysis.report.shown import Shown, show
from experiments.analysis.report.subject import Subject
from experiments.analysis.results import Floats, Run
from experiments.analysis.statistics import ranks, targets
from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.intervals import interval

BUDGET = "budget spent (full evaluations)"
_STEPS = 100  # maximum number of steps in one line
_TAU = 0.1
_FAR = 3.0
"""A default further from the best than this many chart heights is not drawn."""


def convergence(subject: Subject) -> list[Chart]:
    """Return one chart per objective."""
    return [_convergence(task, show(subject.suite, task)) for task in subject.suite.tasks]


def convergence_of(subject: Subject, task: Task) -> Chart:
    """Return the chart of one objective."""
    return _convergence(task, show(subject.suite, task))


def _steps(grid: Floats) -> NDArray[np.int64]:
    """Return the steps that are drawn."""
    return np.unique(np.linspace(0, len(grid) - 1, min(len(grid), _STEPS)).astype(np.int64))


def _convergence(task: Task, shown: Shown) -> Chart:
    chosen = _steps(task.grid)
    series = []
    for name, curves in shown.curves.items():
        picked = curves[:, chosen]
        low, high = interval(shown.sign * picked)
        if shown.sign < 0:
            low, high = -high, -low
        series.append(
            Series(
                name,
                numbers(task.grid[chosen]),
                numbers(np.median(picked, axis=0)),
                numbers(low) if len(picked) > 1 else [],
                numbers(high) if len(picked) > 1 else [],
                failures=_failures(task, name),
                runs=_each(sorted(task.curves[name]), picked),
            )
        )
    n, limits = max(len(curves) for curves in shown.curves.values()), _limits(series, shown)
    what = f"Median of {n} runs with bootstrapped 95 % intervals" if n > 1 else "One run each"
    known = "optimum known" if task.known else "optimum not known"
    return Chart(
        "convergence",
        task.name,
        "step",
        Axis(BUDGET),
        Axis(shown.label, log=shown.log, limits=limits),
        series,
        objective=task.name,
        caption=f"{what}; {shown.direction}; {known}.",
        lines=_lines(shown, limits),
        follows=("optimizers", "seeds"),
    )


def _each(seeds: Sequence[int], curves: Floats) -> dict[int, list[tuple[int, Number]]]:
    """Return, by seed, the steps at which the run's curve (n_seeds, n_steps) changes."""
    found = {}
    for seed, curve in zip(seeds, curves, strict=True):
        changes = np.flatnonzero(np.append(True, curve[1:] != curve[:-1]))
        shown = numbers(curve[changes], 5)
        found[seed] = list(zip(changes.tolist(), shown, strict=True))
    return found


def _lines(shown: Shown, limits: tuple[float, float] | None) -> list[tuple[float, str]]:
    """Return horizontal lines for the optimum and the default, if they are within the limits."""
    low, high = limits or (-np.inf, np.inf)
    named = ((shown.optimum, "optimum"), (shown.default, "default configuration"))
    return [(at, label) for at, label in named if at is not None and low <= at <= high]


def _failures(task: Task, optimizer: str) -> list[tuple[float, str]]:
    """Return the budgets at which evaluations failed, each with the number of runs affected."""
    counts: dict[float, int] = {}
    runs = list(task.runs.get(optimizer, {}).values())
    for run in runs:
        at = np.ceil(run.spent[run.failed] - 1e-9)
        for budget in at[at <= task.grid[-1]].tolist():
            counts[budget] = counts.get(budget, 0) + 1
    return [
        (budget, f"failed in {count} of {len(runs)} runs")
        for budget, count in sorted(counts.items())
    ]


def _limits(series: list[Series], shown: Shown) -> tuple[float, float] | None:
    """Return limits that exclude the first steps if these would compress all others."""
    if shown.log:
        return None
    lines = [[y for y in one.y if y is not None] for one in series]
    every = np.array([y for line in lines for y in line])
    if not len(every):
        return None
    best = every.max() if shown.sign < 0 else every.min()
    best = best if shown.optimum is None else shown.optimum
    later = np.array([y for line in lines for y in line[len(line) // 6 :]])
    far = later.min() if shown.sign < 0 else later.max()
    low, high = float(min(best, far)), float(max(best, far))
    if shown.default is not None and abs(shown.default - best) <= _FAR * (high - low):
        low, high = min(low, shown.default), max(high, shown.default)
    margin = 0.06 * (high - low) or 0.05 * abs(float(best)) or 1.0
    return low - margin, high + margin


def _longest(suite: Suite) -> Floats:
    return max((task.grid for task in suite.tasks), key=len)


def rank_steps(suite: Suite) -> Floats:
    """Return the budgets at which ranks over the budget are drawn, (n_steps,)."""
    grid = _longest(suite)
    return grid[_steps(grid)]


def view_of(shown: Shown) -> tuple[float, float] | None:
    """Return the limits of the convergence chart; None if they are those of the data."""
    medians = [np.median(curves, axis=0) for curves in shown.curves.values()]
    return _limits([Series("", [], numbers(median)) for median in medians], shown)


def rank_over_budget(suite: Suite) -> Chart | None:
    """Return a chart of mean ranks over the budget; None if no task has all optimizers."""
    grid = _longest(suite)
    tables = [ranks.over_budget(task, suite.optimizers) for task in suite.tasks]
    ranked = [
        table[np.clip(np.searchsorted(task.grid, grid, "right") - 1, 0, None)]
        for task, table in zip(suite.tasks, tables, strict=True)
        if table is not None
    ]
    if not ranked or len(suite.optimizers) < 2:
        return None
    chosen, mean = _steps(grid), np.mean(ranked, axis=0)
    return Chart(
        "rank",
        "Mean rank over the budget",
        "line",
        Axis(BUDGET),
        Axis("mean rank (1 is best)", limits=(len(suite.optimizers) + 0.25, 0.75)),
        [
            Series(name, numbers(grid[chosen]), numbers(mean[chosen, i]))
            for i, name in enumerate(suite.optimizers)
        ],
        caption=f"Mean over the seeds of {_tasks(len(ranked))}. A run without success ranks last.",
        follows=("optimizers", "seeds", "objectives"),
    )


def _tasks(n: int) -> str:
    return f"{n} objectives" if n > 1 else "one objective"


def reached_targets(suite: Suite) -> list[Chart]:
    """Return the ECDF, the performance profile and the data profile."""
    share = Axis("share", limits=(-0.02, 1.02))
    seen = "the known optimum" if all(t.known for t in suite.tasks) else "the best value found"
    ecdf = Chart(
        "ecdf",
        "Targets reached",
        "step",
        Axis(BUDGET, log=True),
        Axis("share of targets reached", limits=share.limits),
        [
            Series(name, numbers(x), numbers(y))
            for name in suite.optimizers
            for x, y in [_thinned(*targets.ecdf(suite, name))]
        ],
        caption=f"{len(targets.TARGETS)} targets, from the value of a typical first success down "
        f"to a thousandth of its distance from {seen}.",
        follows=("optimizers",),
    )
    performance = _profile(suite, targets.performance_profile, "performance_profile")
    data = _profile(suite, targets.data_profile, "data_profile")
    return [ecdf, performance, data]


_PROFILES = {
    "performance_profile": (
        "Performance profile",
        "budget / smallest budget of any optimizer",
        "How many times the budget of the fastest optimizer each one needs",
    ),
    "data_profile": (
        "Data profile",
        "budget / (number of parameters + 1)",
        "The share of problems that each optimizer solves within a budget",
    ),
}


def _profile(
    suite: Suite,
    profile: Callable[[Suite, float], tuple[Floats, dict[str, Floats]]],
    name: str,
) -> Chart:
    title, x_title, said = _PROFILES[name]
    x, shares = profile(suite, _TAU)
    return Chart(
        name,
        title,
        "step",
        Axis(x_title, log=True),
        Axis("share of problems solved", limits=(-0.02, 1.02)),
        [
            Series(each, numbers(xs), numbers(ys))
            for each in suite.optimizers
            for xs, ys in [_thinned(x, shares[each])]
        ],
        caption=f"{said}. A problem is solved when the distance of a typical first success from "
        f"the reference value is reduced by {1 - _TAU:.0%}.",
        follows=() if name == "performance_profile" else ("optimizers",),
    )


def _thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Remove the steps at which nothing changes, and thin out the rest if there are many."""
    keep = np.append(True, np.diff(y) != 0)
    keep[-1] = True
    x, y = x[keep], y[keep]
    chosen = _steps(x)
    return x[chosen], y[chosen]


def own_time(suite: Suite) -> Chart:
    """Return a chart of the seconds that optimizers spent in ask and tell for each evaluation."""
    series = []
    for name in suite.optimizers:
        runs = [run for task in suite.tasks for run in task.runs.get(name, {}).values()]
        n = max((len(run.ids) for run in runs), default=0)
        if n:
            table = np.array([_padded(_own(run), n) for run in runs])
            few = np.isfinite(table).sum(axis=0) > 0
            middle = np.full(n, np.nan)
            middle[few] = np.nanmedian(table[:, few], axis=0)
            chosen = _steps(middle)
            series.append(Series(name, numbers(chosen + 1), numbers(middle[chosen], 4)))
    return Chart(
        "own_time",
        "Own time per evaluation",
        "line",
        Axis("evaluations"),
        Axis("time in ask and tell (s)", log=True),
        series,
        caption="Median over all runs. The time of an ask is split evenly among its trials.",
        follows=("optimizers",),
    )


def _own(run: Run) -> Floats:
    return np.maximum(run.ask_s + run.tell_s, 1e-6)


def _padded(row: Floats, n: int) -> Floats:
    return np.append(row, np.full(n - len(row), np.nan))
