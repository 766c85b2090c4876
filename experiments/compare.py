"""One picture and one table of several runs of one objective.

python -m experiments.compare FOLDER... --out picture.png
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.convergence import mark_outside, view
from experiments.run_log import History, read

_STYLES = ["-", "--", "-.", ":"]  # beside colour, so that the lines differ without it
_MARKERS = "osD^vPX*"


def main(arguments: Sequence[str]) -> int:
    """Draw and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m experiments.compare", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, help="the picture, PNG or PDF")
    given = parser.parse_args(arguments)
    try:
        runs = [load(folder) for folder in given.folders]
        _check_comparable(runs)
        draw(runs, given.out)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(table(runs))
    print(f"\npicture: {given.out}")
    return 0


def load(folder: Path) -> History:
    """Read the log in a folder.

    Raises:
        ValueError: it has no header.
    """
    history = read(folder / "log.jsonl")
    if history.header is None:
        raise ValueError(f"{folder}: expected a run, got an empty log; leave it out")
    return history


def _check_comparable(runs: Sequence[History]) -> None:
    """Raise where runs differ in objective, data or model."""
    first, *others = (run.header or {} for run in runs)
    for other in others:
        for key in ("objective", "fingerprint"):
            if other[key] != first[key]:
                raise ValueError(
                    f"{key}: expected runs of one objective on the same data, got "
                    f"{first[key]} and {other[key]}"
                )


def incumbents(run: History) -> list[tuple[float, float]]:
    """Return (budget spent, metric of the incumbent) at each improvement, and at the end."""
    assert run.header is not None
    metric, spent, best = run.header["metric"], 0.0, float("inf")
    steps: list[tuple[float, float]] = []
    for id, evaluation in run.evaluations.items():
        spent += run.trials[id].fidelity
        if evaluation.error is not None or evaluation.value is None:
            continue
        if evaluation.value < best and run.trials[id].fidelity == 1.0:
            best = evaluation.value
            steps.append((spent, evaluation.metrics[metric] if metric else best))
    return [*steps, (spent, steps[-1][1])] if steps else []


def draw(runs: Sequence[History], path: Path) -> None:
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
    header = runs[0].header or {}
    metric = header["metric"] or "value (minimised)"
    seeds = sorted({(run.header or {})["seed"] for run in runs})
    of_seed = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds}"
    left.set_title(f"incumbent on {header['names']['objective']}, {of_seed}")
    left.set_xlabel("budget spent (full evaluations)")
    left.set_ylabel(metric)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    if left.lines:
        left.legend(fontsize=8)
    right.set_title("every evaluation\n(x: failed, hollow: off the scale)", fontsize=10)
    right.set_xticks(range(len(runs)), [_name(run) for run in runs], rotation=35, ha="right")
    if header.get("notice"):
        figure.supxlabel(header["notice"], fontsize=7, color="0.3")
    figure.savefig(path, dpi=150)


def _draw_incumbent(axes: Axes, run: History, number: int) -> None:
    steps = incumbents(run)
    if steps:
        axes.step(
            *zip(*steps, strict=True),
            where="post",
            color=f"C{number}",
            linestyle=_STYLES[number % len(_STYLES)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=4,
            label=_name(run),
        )


def shown(run: History) -> list[float]:
    """Return the metric of every successful evaluation, in order of arrival."""
    metric = (run.header or {})["metric"]
    return [
        e.metrics[metric] if metric else e.value
        for e in run.evaluations.values()
        if e.error is None and e.value is not None
    ]


def _limits(runs: Sequence[History]) -> tuple[float, float]:
    """Return the vertical limits that all runs share."""
    ends = [
        (run.evaluations[id].value, incumbents(run)[-1][1])
        for run in runs
        if (id := run.incumbent()) is not None
    ]
    if not ends:
        return 0.0, 1.0
    return view([y for run in runs for y in shown(run)], min(ends)[1])


def _draw_evaluations(axes: Axes, run: History, number: int, limits: tuple[float, float]) -> None:
    values = shown(run)
    marker = _MARKERS[number % len(_MARKERS)]
    places = [number + 0.25 * (i % 5 - 2) / 2 for i in range(len(values))]
    axes.plot(places, values, marker, color=f"C{number}", markersize=4, alpha=0.7)
    mark_outside(axes, places, values, limits)
    n_failed = len(run.evaluations) - len(values)
    axes.plot([number] * n_failed, [0.02] * n_failed, "x", transform=axes.get_xaxis_transform())


def _name(run: History) -> str:
    assert run.header is not None
    return str(run.header["names"]["optimizer"])


def table(runs: Sequence[History]) -> str:
    """Return a Markdown table: each run's incumbent, its metrics, and what was never optimised."""
    metrics = sorted({name for run in runs for e in run.evaluations.values() for name in e.metrics})
    tests = sorted({name for run in runs for name in _test(run)})
    head = ["optimizer", "seed", "evaluations", "failed", "found at", "value", *metrics, *tests]
    rows = [head, ["---"] * len(head)]
    for run in runs:
        id = run.incumbent()
        n_failed = sum(e.error is not None for e in run.evaluations.values())
        cells = [_name(run), (run.header or {})["seed"], len(run.evaluations), n_failed]
        if id is not None:
            best = run.evaluations[id]
            numbers = [best.value, *(best.metrics.get(name) for name in metrics)]
            numbers += [_test(run).get(name) for name in tests]
            cells += [list(run.evaluations).index(id) + 1]
            cells += ["" if x is None else f"{x:.4f}" for x in numbers]
        rows.append([str(cell) for cell in cells])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _test(run: History) -> dict[str, float]:
    """Return the test metrics at the run's incumbent."""
    found = [
        e["metrics"] for e in run.events if e["event"] == "test" and e["id"] == run.incumbent()
    ]
    return found[-1] if found else {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
