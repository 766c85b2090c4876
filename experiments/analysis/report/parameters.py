"""Charts of the parameters: parallel coordinates and importance."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.analysis.report.chart import Axis, Chart, Number, Series, numbers
from experiments.analysis.report.forests import Importance
from experiments.analysis.results import Run
from experiments.analysis.spaces import space_of
from experiments.analysis.statistics.anytime import Task
from experiments.analysis.statistics.verdict import listed
from objectives.space import UnitCube

_MOST = 300  # maximum number of lines
_CLASSES = [("worst half", 0.5, 1.0), ("next 40 %", 0.1, 0.5), ("best tenth", 0.0, 0.1)]


def cube_of(runs: Sequence[Run]) -> UnitCube:
    """Return the axes of the space of some runs."""
    return UnitCube(space_of(runs))


def parallel(task: Task, runs: Sequence[Run], cube: UnitCube) -> Chart:
    """Return the evaluated configurations as lines over the parameters, with the best on top.

    Each axis extends from the parameter's lower to its upper bound on its own scale. An inactive
    parameter is a gap. Configurations are ranked within their instance.
    """
    every = [
        (run, i)
        for run in runs
        for i in range(len(run.ids))
        if run.errors[i] is None and run.fidelities[i] == 1.0 and not np.isnan(run.values[i])
    ]
    rng = np.random.default_rng(0)
    chosen = [every[k] for k in rng.permutation(len(every))[:_MOST].tolist()]
    share = _shares(task, chosen)
    series = []
    for i, (name, low, high) in enumerate(_CLASSES):
        x: list[Number] = []
        y: list[Number] = []
        for (run, k), s in zip(chosen, share, strict=True):
            if low <= s < high or (s == 1.0 == high):
                x += [*range(cube.dim), None]
                y += [*_places(run, k, cube), None]
        series.append(Series(name, x, y, look=f"tone{i}"))
    notes = [note for axis in range(cube.dim) for note in _ends(cube, axis)]
    of = f"{len(chosen)} of {len(every)}" if len(chosen) < len(every) else f"All {len(every)}"
    return Chart(
        "parallel",
        f"Parallel coordinates: {task.name}",
        "line",
        Axis("", ticks=cube.names, limits=(-0.35, cube.dim - 0.65)),
        Axis("", ticks=[], limits=(-0.1, 1.1)),
        series,
        objective=task.name,
        caption=f"{of} successful full evaluations. Numbers are the ends of the axes.",
        notes=notes,
    )


def _shares(task: Task, chosen: Sequence[tuple[Run, int]]) -> list[float]:
    """Return, for each configuration, the share of configurations that are better."""
    above = [(run.values[i] - task.reference[run.seed]) / task.scale[run.seed] for run, i in chosen]
    order = np.argsort(np.argsort(above, kind="stable"), kind="stable")
    return [float(rank) / max(len(above), 1) for rank in order]


def _places(run: Run, i: int, cube: UnitCube) -> list[Number]:
    config = run.configs[i]
    places = numbers(cube.point(config), 4)
    return [
        place if name in config else None for name, place in zip(cube.names, places, strict=True)
    ]


def _ends(cube: UnitCube, axis: int) -> list[tuple[float, float, str]]:
    parameter: Any = cube.space[cube.names[axis]]
    if hasattr(parameter, "choices") or hasattr(parameter, "sequence"):
        choices = list(getattr(parameter, "choices", None) or parameter.sequence)
        n = len(choices)
        shown = choices if n <= 4 else [choices[0], choices[-1]]
        return [(axis, (choices.index(each) + 0.5) / n, f"{each}") for each in shown]
    if not hasattr(parameter, "lower"):
        return [(axis, 0.5, f"{parameter.value}")]
    return [(axis, -0.06, _short(parameter.lower)), (axis, 1.06, _short(parameter.upper))]


def _short(value: float) -> str:
    """Return a number in few characters; integers are unchanged."""
    return f"{value:d}" if isinstance(value, int) and abs(value) < 1e5 else f"{value:.3g}"


def importance_chart(
    task: Task, found: Importance, family: Sequence[str] = (), left_out: Sequence[str] = ()
) -> Chart:
    """Return a chart of both measures, with one row per parameter.

    Args:
        task: the task.
        found: the importance of the parameters.
        family: the conditional parameters that it is about; by default, it is about those that
            every configuration has.
        left_out: the conditional parameters of the task.
    """
    names = sorted(found.names, key=lambda name: found.fanova[name] + found.shap[name])
    used = f"{found.n} of {found.n_all}" if found.n < found.n_all else f"all {found.n}"
    rest = max(0.0, 1 - sum(found.fanova.values()))
    where = f"Only evaluations in which {listed(family)} are active. " if family else ""
    if left_out and not family:
        where = (
            f"Conditional parameters ({listed(left_out)}) are left out: they exist in a part of "
            f"the space, and would absorb the importance of the parameters that they depend on. "
        )
    return Chart(
        f"importance {' '.join(family)}".strip(),
        f"Importance: {task.name}" + (f", {listed(family)}" if family else ""),
        "dot",
        Axis("share", limits=(-0.03, 1.03)),
        Axis("", ticks=names),
        [
            Series(label, numbers(shares[n] for n in names), list(range(len(names))), look=look)
            for label, shares, look in (
                ("fANOVA, main effects", found.fanova, "filled"),
                ("SHAP, mean size", found.shap, "hollow"),
            )
        ],
        objective=task.name,
        caption=f"{where}Filled marks: main effects by fANOVA ({rest:.0%} of the variance is left "
        f"to interactions). Hollow marks: SHAP. The forests are fitted to {used} evaluations and "
        f"explain {found.explained:.0%} of the variance out of bag.",
    )


def unmeasured_line(runs: Sequence[Run], left_out: Sequence[str]) -> str:
    """Return a clause that says why the importance of parameters cannot be estimated."""
    if runs[0].header.several:
        return (
            "importance is not estimated: it is the share of a single value's variance, and "
            "the objective has several goals."
        )
    if left_out:
        return (
            f"importance cannot be estimated: {listed(left_out)} exist in a part of the space "
            f"only, and there are too few other parameters or evaluations to fit a forest."
        )
    return "there are too few evaluations to fit a forest, so importance cannot be estimated."


def frozen_line(found: Importance) -> str:
    """Return a clause that names the parameters that could be frozen."""
    if not found.believed:
        return "a forest explains too little out of bag, so it gives no reason to freeze anything."
    if not found.frozen:
        return "no parameter is below 3 % by both measures, so none should be frozen."
    names = listed(found.frozen)
    return f"{names} could be frozen at the value of the incumbent (below 3 % by both measures)."
