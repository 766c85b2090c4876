"""The report's section on runs with evaluations below full fidelity.

Elsewhere only full evaluations are compared, and the budget counts full evaluations. Here are the
trials at each fidelity, those that were stopped among them, and what was found over the cost in
seconds, which need not be proportional to the budget.
"""

from collections.abc import Sequence

import numpy as np

from experiments.analysis.report.chart import Axis, Chart, Selection, Series, numbers
from experiments.analysis.report.shown import show
from experiments.analysis.report.subject import Subject
from experiments.analysis.report.table import Cell, Row, Table
from experiments.analysis.results import ROUNDING, Floats, Run
from experiments.analysis.statistics import budgets
from experiments.analysis.statistics.anytime import Task
from experiments.analysis.statistics.currencies import spent

_STEPS = 60
_FOLLOWS: tuple[Selection, ...] = ("optimizers", "objectives")


def has_fidelities(runs: Sequence[Run]) -> bool:
    """Return whether any evaluation was below full fidelity."""
    return any(bool((run.fidelities < 1).any()) for run in runs)


def pruned(run: Run) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which trials were stopped early, (n,).

    Such a trial succeeded below full fidelity, and its configuration was never evaluated at a
    higher one, nor did a trial resume it.
    """
    highest: dict[tuple[object, ...], float] = {}
    keys = [tuple(sorted(config.items())) for config in run.configs]
    for key, fidelity in zip(keys, run.fidelities.tolist(), strict=True):
        highest[key] = max(fidelity, highest.get(key, 0.0))
    last = np.array([highest[key] for key in keys])
    return ~run.failed & (run.fidelities < 1) & (run.fidelities >= last - ROUNDING)


def trials(subject: Subject) -> Table | None:
    """Return how many trials each optimizer made at each fidelity; None without any below 1."""
    rows = []
    for task in subject.suite.tasks:
        if not has_fidelities(subject.runs_of(task)):
            continue
        for name, by_seed in task.runs.items():
            rows += _rows(task.name, name, list(by_seed.values()))
    columns = ["objective", "optimizer", "fidelity", "trials", "failed", "stopped", "budget"]
    caption = (
        "Trials at each fidelity, over all seeds. Stopped: succeeded, and their configuration was "
        "not evaluated at a higher fidelity. Budget: the share of it that they spent."
    )
    return Table("fidelities", columns, rows, caption, _FOLLOWS) if rows else None


def _rows(objective: str, optimizer: str, runs: Sequence[Run]) -> list[Row]:
    shares = np.concatenate([run.fidelities for run in runs])
    failed = np.concatenate([run.failed for run in runs])
    stopped = np.concatenate([pruned(run) for run in runs])
    prices = np.concatenate([run.prices for run in runs])
    rows = []
    for share in np.unique(shares).tolist():
        here = shares == share
        counts = [int((here & also).sum()) for also in (here, failed, stopped)]
        part = float(prices[here].sum() / prices.sum())
        cells = [Cell(objective), Cell(optimizer), Cell(f"{share:.3g}", share)]
        cells += [Cell(f"{n}", n) for n in counts] + [Cell(f"{part:.0%}", part)]
        rows.append(Row(cells, optimizer, objective))
    return rows


def over_cost(subject: Subject) -> list[Chart]:
    """Return a chart over the cost for each objective with evaluations below full fidelity."""
    tasks = [task for task in subject.suite.tasks if has_fidelities(subject.runs_of(task))]
    charts = [_over_cost(subject, task) for task in tasks]
    return [chart for chart in charts if chart is not None]


def _over_cost(subject: Subject, task: Task) -> Chart | None:
    shown = show(subject.suite, task)
    costs = {
        name: {seed: spent(run, "cost") for seed, run in by_seed.items()}
        for name, by_seed in task.runs.items()
    }
    totals = [own[-1] for by_seed in costs.values() for own in by_seed.values() if len(own)]
    if not totals or max(totals) <= 0:
        return None
    levels = np.linspace(0, max(totals), _STEPS + 1)[1:]
    series = []
    for name, curves in shown.curves.items():
        rows = [
            _at_cost(task, task.runs[name][seed], costs[name][seed], curves[row], levels)
            for row, seed in enumerate(sorted(task.curves[name]))
            if seed in task.runs.get(name, {})
        ]
        if rows:
            middle = np.median([np.where(np.isnan(row), np.inf, row) for row in rows], axis=0)
            series.append(Series(name, numbers(levels), numbers(middle)))
    return Chart(
        "convergence_over_cost",
        task.name,
        "step",
        Axis("cost of the evaluations (s)"),
        Axis(shown.label, log=shown.log),
        series,
        objective=task.name,
        follows=("optimizers",),
        caption=f"Median of the runs; {shown.direction}. A run that has spent its budget keeps "
        "what it found. Only full evaluations count.",
    )


def _at_cost(task: Task, run: Run, costs: Floats, curve: Floats, levels: Floats) -> Floats:
    """Return what a run had found at each level of the cost, (n_levels,); NaN before anything."""
    counted = int(budgets.within(run, task.budget).sum())
    n = np.searchsorted(costs[:counted], levels * (1 + 1e-9), side="right")
    evaluations = np.append(0.0, budgets.spent(run)[:counted])[n]
    steps = np.searchsorted(task.grid, evaluations + ROUNDING, side="right") - 1
    return np.where(steps >= 0, curve[np.maximum(steps, 0)], np.nan)
