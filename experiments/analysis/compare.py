"""`tuneoff compare`: one picture and one table of several runs of one objective."""

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
from experiments.running.convergence import mark_outside, view
from experiments.running.settings import REQUIRED, Command, Given, Setting
from experiments.running.settings import path as as_path

_STYLES = ["-", "--", "-.", ":"]  # beside colour, so that the lines differ without it
_MARKERS = "osD^vPX*"


COMMAND = Command(
    "compare",
    "Draw the runs of one objective into one picture and print their table.",
    [
        ("tuneoff compare results/branin out=branin.png", "all runs of branin"),
        ("tuneoff compare results/hartmann6/*/seed0-* out=seed0.pdf", "those of one seed"),
    ],
    [Setting("out", "The picture, .png, .pdf or .svg.", as_path, REQUIRED)],
    folders="Folders of runs of one objective, or files by tuneoff pack.",
)


def main(arguments: Sequence[str]) -> int:
    """Draw and print; return the exit status."""
    return COMMAND.answer(arguments, _compare)


def _compare(given: Given) -> int:
    out: Path = given["out"]
    if out.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise ValueError(f"out: expected a name that ends in .png, .pdf or .svg, got {out}")
    runs = gather(given.folders)
    out.parent.mkdir(parents=True, exist_ok=True)
    draw(runs, out)
    print(table(runs))
    print(f"\npicture: {out}")
    return 0


def gather(folders: Sequence[Path]) -> list[Run]:
    """Read the runs of one objective.

    Raises:
        ValueError: there are none, or they differ in objective, data or model.
        OSError: a folder cannot be read.
    """
    for folder in folders:
        if not folder.exists():
            raise ValueError(f"{folder}: expected a folder of runs, got none there")
    runs = load(folders)
    if not runs:
        raise ValueError(f"{folders[0]}: expected runs, got empty logs only")
    first, *others = runs
    for other in others:
        if other.header["objective"] != first.header["objective"]:
            names = [f"{run.objective} of seed {run.seed}" for run in (first, other)]
            raise ValueError(
                f"FOLDER: expected runs of one objective, and one instance of it, got "
                f"{' and '.join(names)}; name the folders of one"
            )
        if other.header["fingerprint"] != first.header["fingerprint"]:
            raise ValueError(
                f"fingerprint: expected runs of one objective on the same data, got "
                f"{first.header['fingerprint']} and {other.header['fingerprint']}"
            )
    return runs


def incumbents(run: Run) -> list[tuple[float, float]]:
    """Return (budget spent, metric of the incumbent) at each improvement, and at the end."""
    spent, best = np.cumsum(run.fidelities).tolist(), float("inf")
    shown = _metric(run)
    steps: list[tuple[float, float]] = []
    for i in np.flatnonzero(_good(run) & (run.fidelities == 1.0)).tolist():
        if run.values[i] < best:
            best = float(run.values[i])
            steps.append((spent[i], float(shown[i])))
    return [*steps, (spent[-1], steps[-1][1])] if steps else []


def _good(run: Run) -> NDArray[np.bool_]:
    return ~run.failed & ~np.isnan(run.values)


def _metric(run: Run) -> Floats:
    """Return what is drawn of each evaluation (n,): the metric that the value stands for."""
    name = run.header["metric"]
    return run.values if name is None else run.metrics.get(name, np.full(len(run.ids), np.nan))


def draw(runs: Sequence[Run], path: Path) -> None:
    """Write the incumbents of all runs over the budget, every evaluation beside it."""
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    limits = _limits(runs)
    for number, run in enumerate(runs):
        _draw_incumbent(left, run, number)
        _draw_evaluations(right, run, number, limits)
    left.set_ylim(limits)
    right.set_ylim(limits)
    header = runs[0].header
    metric = header["metric"] or "value (minimised)"
    seeds = sorted({run.seed for run in runs})
    of_seed = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds}"
    left.set_title(f"incumbent on {header['names']['objective']}, {of_seed}")
    left.set_xlabel("budget spent (full evaluations)")
    left.set_ylabel(metric)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    if left.lines:
        left.legend(fontsize=8)
    right.set_title("every evaluation\n(x: failed, hollow: off the scale)", fontsize=10)
    right.set_xticks(range(len(runs)), [run.optimizer for run in runs], rotation=35, ha="right")
    if header.get("notice"):
        figure.supxlabel(header["notice"], fontsize=7, color="0.3")
    figure.savefig(path, dpi=150)


def _draw_incumbent(axes: Axes, run: Run, number: int) -> None:
    steps = incumbents(run)
    if steps:
        axes.step(
            *zip(*steps, strict=True),
            where="post",
            color=f"C{number}",
            linestyle=_STYLES[number % len(_STYLES)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=4,
            label=run.optimizer,
        )


def shown(run: Run) -> list[float]:
    """Return the metric of every successful evaluation, in order of arrival."""
    return [float(y) for y in _metric(run)[_good(run)]]


def _limits(runs: Sequence[Run]) -> tuple[float, float]:
    """Return the vertical limits that all runs share."""
    ends = [
        (float(run.values[i]), incumbents(run)[-1][1])
        for run in runs
        if (i := run.incumbent()) is not None
    ]
    if not ends:
        return 0.0, 1.0
    return view([y for run in runs for y in shown(run)], min(ends)[1])


def _draw_evaluations(axes: Axes, run: Run, number: int, limits: tuple[float, float]) -> None:
    values = shown(run)
    marker = _MARKERS[number % len(_MARKERS)]
    places = [number + 0.25 * (i % 5 - 2) / 2 for i in range(len(values))]
    axes.plot(places, values, marker, color=f"C{number}", markersize=4, alpha=0.7)
    mark_outside(axes, places, values, limits)
    n_failed = len(run.ids) - len(values)
    axes.plot([number] * n_failed, [0.02] * n_failed, "x", transform=axes.get_xaxis_transform())


def table(runs: Sequence[Run]) -> str:
    """Return a Markdown table: each run's incumbent, its metrics, and what was never optimised."""
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
