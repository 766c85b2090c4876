"""The quantity that figures show for a task: the metric in natural units, rather than the value.

If an objective declares the metric that its value stands for and the better direction, figures show
this metric. Otherwise, if the optimum is known, they show the distance of the incumbent above it on
a logarithmic axis, because the optimum differs between the instances of a problem. Otherwise they
show the value.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from experiments.analysis.results import Floats, Run
from experiments.analysis.statistics.anytime import Quantity, Suite, Task, best_so_far
from experiments.analysis.statistics.fronts import HYPERVOLUME, INDICATORS
from experiments.running.headline import Headline, headline

FLOOR = 1e-8  # least distance from the optimum that is shown, equal to COCO's final target


@dataclass(frozen=True)
class Shown:
    """How the incumbents of a task are shown.

    Attributes:
        label: the label of the axis, with its unit if there is one.
        sign: -1 if higher is better, and otherwise 1.
        log: whether the axis is logarithmic.
        optimum: the optimum in shown units, if it is known and the same for all runs.
        default: the shown metric of the default configuration, if a run evaluated it and all runs
            are on one instance.
        curves: by optimizer, (n_seeds, n_steps) in shown units; worst is `sign` times infinity
            before the first success.
        each: returns the number of every evaluation of a run in shown units, (n,); of several
            goals, the first goal.
        each_label: the label of these numbers.
    """

    label: str
    sign: int
    log: bool
    optimum: float | None
    default: float | None
    curves: dict[str, Floats]
    each: Callable[[Run], Floats]
    each_label: str

    @property
    def direction(self) -> str:
        """Which way is better."""
        return "higher is better" if self.sign < 0 else "lower is better"


def show(suite: Suite, task: Task) -> Shown:
    """Return how the incumbents of a task are shown."""
    runs = [run for own in task.runs.values() for run in own.values()]
    if runs[0].header.several:
        return _of_several(suite.quantity, task, runs)
    if suite.quantity.metric is not None:
        return _chosen(suite.quantity, task, runs)
    about = headline(runs[0].header)
    if about.metric is not None:
        return _in_metric(task, runs, about, about.metric)
    if task.known:
        return _above_optimum(task, runs)
    curves = {name: task.matrix(name) for name in task.curves}
    default, label = _default(task, runs, None), "value (minimised)"
    return Shown(label, 1, False, None, default, curves, _values, label)


def _values(run: Run) -> Floats:
    return run.values


def _metric(run: Run, metric: str) -> Floats:
    """Return a metric of every evaluation, (n,); NaN where it was not measured."""
    return run.metrics.get(metric, np.full(len(run.ids), np.nan))


def _of_several(quantity: Quantity, task: Task, runs: Sequence[Run]) -> Shown:
    """Show what the sets of incumbents came to."""
    metric = quantity.metric or HYPERVOLUME
    sign = INDICATORS.get(metric, quantity.sign)
    curves = {name: sign * task.matrix(name) for name in task.curves}
    header = runs[0].header
    about = headline(header)
    each = partial(_metric, metric=str(header.metric))
    if metric != HYPERVOLUME:
        goal = header.goals.get(metric)
        unit = f" ({goal.unit})" if goal is not None and goal.unit else ""
        return Shown(f"{metric}{unit}", sign, False, None, None, curves, each, about.label)
    label = "hypervolume up to the declared reference"
    return Shown(label, sign, False, header.hypervolume, None, curves, each, about.label)


def _chosen(quantity: Quantity, task: Task, runs: Sequence[Run]) -> Shown:
    """Show the requested metric."""
    assert quantity.metric is not None
    goal = runs[0].header.goals.get(quantity.metric)
    unit = f" ({goal.unit})" if goal is not None and goal.unit else ""
    curves = {name: quantity.sign * task.matrix(name) for name in task.curves}
    default = _default(task, runs, quantity.metric)
    label, each = f"{quantity.metric}{unit}", partial(_metric, metric=quantity.metric)
    return Shown(label, quantity.sign, False, None, default, curves, each, label)


def _in_metric(task: Task, runs: Sequence[Run], about: Headline, metric: str) -> Shown:
    """Show the metric that the value stands for, at the incumbents."""
    sign = 1 if about.minimise else -1
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
    default = _default(task, runs, metric)
    each = partial(_metric, metric=metric)
    return Shown(about.label, sign, False, about.optimum, default, curves, each, about.label)


def _default(task: Task, runs: Sequence[Run], metric: str | None) -> float | None:
    """Return the default configuration's metric in the first run that evaluated it, or None."""
    if task.instances:
        return None
    for run in runs:
        place = run.default()
        if place is not None and (metric is None or metric in run.metrics):
            numbers = run.values if metric is None else run.metrics[metric]
            if np.isfinite(numbers[place]):
                return float(numbers[place])
    return None


def _above_optimum(task: Task, runs: Sequence[Run]) -> Shown:
    curves, one = {}, len(set(task.reference.values())) == 1
    for name in task.curves:
        seeds = sorted(task.curves[name])
        low = np.array([[task.reference[seed]] for seed in seeds])
        curves[name] = np.maximum(task.matrix(name) - low, FLOOR)
    default, height = _default(task, runs, None), ""
    if one:
        optimum = next(iter(task.reference.values()))
        height = f" ({optimum:.5g})"
        default = None if default is None else max(default - optimum, FLOOR)
    label = f"value above the optimum{height}"
    each = partial(_above, reference=task.reference)
    return Shown(label, 1, True, None, default if one else None, curves, each, label)


def _above(run: Run, reference: Mapping[int, float]) -> Floats:
    """Return the distance of every value from the optimum, (n,), of at least `FLOOR`."""
    return np.maximum(run.values - reference[run.seed], FLOOR)
