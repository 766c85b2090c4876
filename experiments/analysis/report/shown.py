"""What pictures show of a task: the metric in its natural units and sign, not the value.

Where an objective names a metric, pictures show that. Where it does not and the optimum is known,
they show how far above it the incumbent is, on a logarithmic axis, as instances of a problem have
optima of different heights. Else they show the value.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.analysis.results import Floats, Run
from experiments.analysis.statistics.anytime import Quantity, Suite, Task, best_so_far

FLOOR = 1e-8  # of a distance from the optimum, as COCO's final target


@dataclass(frozen=True)
class Shown:
    """How the incumbents of a task are shown.

    Attributes:
        label: of the axis.
        sign: -1 where higher is better.
        log: whether the axis is logarithmic.
        optimum: in shown units, where it is known and one number.
        curves: by optimizer, (n_seeds, n_steps) in shown units; worst is `sign` times infinity
            before the first success.
    """

    label: str
    sign: int
    log: bool
    optimum: float | None
    curves: dict[str, Floats]

    @property
    def direction(self) -> str:
        """Which way is better."""
        return "higher is better" if self.sign < 0 else "lower is better"


def show(suite: Suite, task: Task) -> Shown:
    """Return how a task is shown."""
    runs = [run for own in task.runs.values() for run in own.values()]
    metric = runs[0].header.metric
    if suite.quantity.metric is not None:
        sign = suite.quantity.sign
        curves = {name: sign * task.matrix(name) for name in task.curves}
        return Shown(suite.quantity.metric, sign, False, None, curves)
    if metric is not None:
        return _in_metric(task, runs, metric)
    if task.known:
        return _above_optimum(task)
    return Shown("value", 1, False, None, {name: task.matrix(name) for name in task.curves})


def _in_metric(task: Task, runs: Sequence[Run], metric: str) -> Shown:
    slope, intercept = natural(runs, metric)
    sign = -1 if slope < 0 else 1
    quantity = Quantity(metric, sign)
    curves = {}
    for name, by_seed in task.curves.items():
        rows = [
            sign * best_so_far(task.runs[name][seed], task.grid, quantity)
            if seed in task.runs.get(name, {})
            else np.full(len(task.grid), sign * np.inf)
            for seed in sorted(by_seed)
        ]
        curves[name] = np.array(rows)
    optima = set(task.reference.values()) if task.known and not np.isnan(intercept) else set()
    optimum = slope * optima.pop() + intercept if len(optima) == 1 else None
    return Shown(metric, sign, False, optimum, curves)


def natural(runs: Sequence[Run], metric: str) -> tuple[float, float]:
    """Return slope and intercept of the metric as a function of the value.

    The intercept is NaN where the metric is no linear function of the value; the slope then has
    the right sign only.
    """
    good = [~run.failed & ~np.isnan(run.values) for run in runs]
    values = np.concatenate([run.values[ok] for run, ok in zip(runs, good, strict=True)])
    none = np.full(1, np.nan)
    metrics = np.concatenate(
        [
            run.metrics[metric][ok] if metric in run.metrics else none.repeat(ok.sum())
            for run, ok in zip(runs, good, strict=True)
        ]
    )
    there = np.isfinite(metrics)
    values, metrics = values[there], metrics[there]
    if len(values) < 2 or np.ptp(values) == 0:
        return 1.0, np.nan
    slope, intercept = (float(x) for x in np.polyfit(values, metrics, 1))
    if np.abs(slope * values + intercept - metrics).max() > 1e-6 * max(np.ptp(metrics), 1e-12):
        return slope, np.nan
    return slope, intercept


def _above_optimum(task: Task) -> Shown:
    curves, one = {}, len(set(task.reference.values())) == 1
    for name in task.curves:
        seeds = sorted(task.curves[name])
        low = np.array([[task.reference[seed]] for seed in seeds])
        curves[name] = np.maximum(task.matrix(name) - low, FLOOR)
    height = f" ({next(iter(task.reference.values())):.5g})" if one else ""
    return Shown(f"value above the optimum{height}", 1, True, None, curves)
