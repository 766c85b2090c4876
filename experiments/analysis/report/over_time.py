"""Charts over simulated time: convergence of every objective whose runs have a simulated clock."""

import numpy as np

from experiments.analysis.report.chart import Axis, Chart, Series, numbers
from experiments.analysis.report.shown import show
from experiments.analysis.results import Floats
from experiments.analysis.statistics.anytime import Suite, Task
from experiments.analysis.statistics.intervals import interval
from experiments.analysis.statistics.over_time import is_simulated, over_time


def convergence(suite: Suite) -> list[Chart]:
    """Return one chart per objective with a simulated clock."""
    return [_convergence(suite, task) for task in suite.tasks if is_simulated(task)]


def _convergence(suite: Suite, task: Task) -> Chart:
    shown = show(suite, task)
    times, curves = over_time(task, shown.curves, shown.sign)
    series = [_series(name, times, table, shown.sign) for name, table in curves.items()]
    n = max(len(table) for table in curves.values())
    what = f"Median of {n} runs with bootstrapped 95 % intervals" if n > 1 else "One run each"
    return Chart(
        "convergence_time",
        f"{task.name} over simulated time",
        "step",
        Axis("simulated time (s)", log=True),
        Axis(shown.label, log=shown.log),
        series,
        objective=task.name,
        follows=("optimizers",),
        caption=f"{what}; {shown.direction}. The time contains the evaluations on all workers, "
        f"and leaves out the optimizers' own seconds.",
    )


def _series(name: str, times: Floats, table: Floats, sign: int) -> Series:
    low, high = interval(sign * table)
    if sign < 0:
        low, high = -high, -low
    several = len(table) > 1
    return Series(
        name,
        numbers(times),
        numbers(np.median(table, axis=0)),
        numbers(low) if several else [],
        numbers(high) if several else [],
    )
