"""`tuneoff compare`: one figure and one table of several runs of one objective."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from experiments.analysis.results import Floats, Run, load
from experiments.running.convergence import BUDGET
from experiments.running.headline import headline
from experiments.running.looks import Look, looks
from experiments.running.panels import (
    draw_default,
    legend,
    mark_outside,
    plain_text,
    view,
    with_strips,
)
from experiments.running.readers import path as as_path
from experiments.running.settings import REQUIRED, Command, Given, Setting
from experiments.running.whole_files import whole

COMMAND = Command(
    "compare",
    "Plot the runs of one objective in one figure and print a table of them.",
    [
        ("tuneoff compare results/branin out=branin.png", "all runs of branin"),
        ("tuneoff compare results/hartmann6/*/seed0-* out=seed0.pdf", "the runs of one seed"),
    ],
    [Setting("out", "The figure's file: .png, .pdf or .svg.", as_path, REQUIRED)],
    folders="Folders of runs of one objective, or files written by tuneoff pack.",
)


def main(arguments: Sequence[str]) -> int:
    """Draw the figure and print the table; return the exit status."""
    return COMMAND.answer(arguments, _compare)


def _compare(given: Given) -> int:
    out: Path = given["out"]
    if out.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise ValueError(f"out: expected a name that ends in .png, .pdf or .svg, got {out}")
    runs = comparable_runs(given.folders)
    with whole(out) as new:
        draw(runs, new)
    print(table(runs))
    print(f"\nfigure: {out}")
    return 0


def comparable_runs(folders: Sequence[Path]) -> list[Run]:
    """Read the runs of one objective.

    Raises:
        ValueError: there are no runs, or they differ in objective, data or model.
        OSError: a folder cannot be read.
    """
    for folder in folders:
        if not folder.exists():
            raise ValueError(f"{folder}: expected a path that exists, got one that does not")
    runs = load(folders)
    if not runs:
        raise ValueError(f"{folders[0]}: expected runs, got empty logs only")
    first, *others = runs
    for other in others:
        if other.header.objective != first.header.objective:
            names = [f"{run.objective} of seed {run.seed}" for run in (first, other)]
            raise ValueError(
                f"FOLDER: expected runs of one objective and one instance of it, got "
                f"{' and '.join(names)}; give the folders of one only"
            )
        if other.header.fingerprint != first.header.fingerprint:
            raise ValueError(
                f"fingerprint: expected runs of one objective on the same data, got "
                f"{first.header.fingerprint} and {other.header.fingerprint}"
            )
    return runs


def incumbents(run: Run) -> list[tuple[float, float]]:
    """Return (budget spent, metric of the incumbent) at each improvement, and at the end."""
    spent, best = run.spent.tolist(), float("inf")
    numbers = _metric(run)
    steps: list[tuple[float, float]] = []
    for i in np.flatnonzero(_good(run) & ~np.isnan(numbers)).tolist():
        if run.values[i] < best:
            best = float(run.values[i])
            steps.append((spent[i], float(numbers[i])))
    return [*steps, (spent[-1], steps[-1][1])] if steps else []


def _good(run: Run) -> NDArray[np.bool_]:
    """Return which evaluations are compared, (n,).

    They are the successes at the highest fidelity that keep the limits.
    """
    good = ~run.failed & ~np.isnan(run.values) & run.kept
    at_the_top: NDArray[np.bool_] = run.fidelities == run.fidelities[good].max(initial=0.0)
    return good & at_the_top


def _metric(run: Run) -> Floats:
    """Return the metric that the value stands for, (n,); the values if the header names none."""
    name = run.header.metric
    return run.values if name is None else run.metrics.get(name, np.full(len(run.ids), np.nan))


def draw(runs: Sequence[Run], path: Path) -> None:
    """Draw the incumbents of all runs over the budget, with every evaluation beside them.

    Failed evaluations are on strips below: when they occurred (left) and how many (right).
    """
    figure = Figure(figsize=(10.5, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    failing = list(dict.fromkeys(run.optimizer for run in runs if run.failed.any()))
    (left, when), (right, how_many) = with_strips(figure, len(failing), (3, 2))
    limits = draw_default([left, right], _default(runs), _limits(runs))
    known = looks(run.optimizer for run in runs)
    for number, run in enumerate(runs):
        _draw_incumbent(left, run, known[run.optimizer])
        _draw_evaluations(right, run, number, known[run.optimizer], limits)
    if when is not None and how_many is not None:
        _draw_failures(when, how_many, runs, failing)
    left.set_ylim(limits)
    right.set_ylim(limits)
    _label(left, when, right, how_many, runs)
    if notice := runs[0].header.notice:
        figure.supxlabel(plain_text(notice), fontsize=7, color="0.3")
    figure.savefig(path, dpi=150)


def _label(
    left: Axes, when: Axes | None, right: Axes, how_many: Axes | None, runs: Sequence[Run]
) -> None:
    header = runs[0].header
    seeds = sorted({run.seed for run in runs})
    of_seed = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"
    objective = plain_text(header.names["objective"])
    left.set_title(f"incumbent on {objective}, {of_seed}", fontsize=10)
    bottom = when or left
    bottom.set_xlabel(BUDGET)
    left.set_ylabel(plain_text(headline(header).label))
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(left, *([when] if when else []), fontsize=8)
    right.set_title("every evaluation\n(hollow triangles: off the scale)", fontsize=10)
    several = len({run.optimizer for run in runs}) < len(runs)
    names = [f"{run.optimizer}, {run.seed}" if several else run.optimizer for run in runs]
    (how_many or right).set_xticks(
        range(len(runs)), map(plain_text, names), rotation=35, ha="right", fontsize=8
    )


def _default(runs: Sequence[Run]) -> float | None:
    """Return the metric of the objective's default configuration, if a run evaluated it."""
    for run in runs:
        place = run.default()
        if place is not None and not np.isnan(number := _metric(run)[place]):
            return float(number)
    return None


def _draw_incumbent(axes: Axes, run: Run, look: Look) -> None:
    steps = incumbents(run)
    if steps:
        axes.step(
            *zip(*steps, strict=True),
            where="post",
            markersize=4,
            label=plain_text(run.optimizer),
            **look.line,
        )


def shown(run: Run) -> list[float]:
    """Return the metric of every success at the highest fidelity, in order of arrival."""
    numbers = _metric(run)[_good(run)]
    return [float(y) for y in numbers[~np.isnan(numbers)]]


def _limits(runs: Sequence[Run]) -> tuple[float, float]:
    """Return the vertical limits that all runs share."""
    ends = [
        (float(run.values[_good(run)].min()), steps[-1][1])
        for run in runs
        if (steps := incumbents(run))
    ]
    if not ends:
        return 0.0, 1.0
    return view([y for run in runs for y in shown(run)], min(ends)[1])


def _draw_evaluations(
    axes: Axes, run: Run, number: int, look: Look, limits: tuple[float, float]
) -> None:
    values = shown(run)
    places = [number + 0.25 * (i % 5 - 2) / 2 for i in range(len(values))]
    points = {**look.line, "linestyle": "none"}
    axes.plot(places, values, **points, markersize=4, alpha=0.7)
    mark_outside(axes, places, values, limits)


def _draw_failures(when: Axes, how_many: Axes, runs: Sequence[Run], failing: list[str]) -> None:
    """Draw when evaluations failed, in one row per optimizer, and count the failures by run."""
    known = looks(run.optimizer for run in runs)
    when.set_yticks(range(len(failing)), [plain_text(name) for name in failing])
    how_many.set_yticks([(len(failing) - 1) / 2], ["failed"])
    for number, run in enumerate(runs):
        if run.optimizer in failing:
            at = run.spent[run.failed]
            row = [failing.index(run.optimizer)] * len(at)
            when.plot(at, row, "x", color=known[run.optimizer].colour, markersize=5)
        count = f"{int(run.failed.sum())}"
        how_many.text(number, (len(failing) - 1) / 2, count, ha="center", va="center", fontsize=8)
    when.plot([], [], "x", color="0.3", markersize=5, label="failed (strip below)")


def table(runs: Sequence[Run]) -> str:
    """Return a Markdown table: each run's incumbent, its metrics, and its test metrics."""
    metrics = sorted({name for run in runs for name in run.metrics})
    tests = sorted({name for run in runs for name in _test(run)})
    head = ["optimizer", "seed", "evaluations", "failed", "found at", "value", *metrics, *tests]
    rows = [head, ["---"] * len(head)]
    for run in runs:
        i = run.incumbent()
        cells = [run.optimizer, run.seed, len(run.ids), int(run.failed.sum())]
        if i is not None:
            nothing = np.full(len(run.ids), np.nan)
            numbers = [run.values[i], *(run.metrics.get(name, nothing)[i] for name in metrics)]
            numbers += [_test(run).get(name, np.nan) for name in tests]
            cells += [i + 1, *("" if np.isnan(x) else f"{x:.4f}" for x in numbers)]
        rows.append([str(cell) for cell in cells])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _test(run: Run) -> dict[str, float]:
    """Return the test metrics at the run's incumbent."""
    i = run.incumbent()
    found = [] if i is None else [t["metrics"] for t in run.tests if t["id"] == int(run.ids[i])]
    return found[-1] if found else {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
