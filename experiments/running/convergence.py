"""The picture of one run: the incumbent and every evaluation, failures marked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.running.run_log import History


def draw(history: History, path: Path) -> None:
    """Write `convergence.png`: the incumbent over the budget spent, and every evaluation.

    The vertical axis is the metric that the value stands for, where the objective names one.
    """
    assert history.header is not None
    header, metric = history.header, history.header.metric
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    spent, best = 0.0, None
    xs: list[float] = []
    shown: list[float] = []
    steps: list[tuple[float, float]] = []
    failures: list[float] = []
    for id, evaluation in history.evaluations.items():
        spent += history.trials[id].fidelity
        if evaluation.error is not None or evaluation.value is None:
            failures.append(spent)
            continue
        y = evaluation.metrics[metric] if metric else evaluation.value
        xs.append(spent)
        shown.append(y)
        full = history.trials[id].fidelity == 1.0
        if full and (best is None or evaluation.value < best):
            best = evaluation.value
            steps.append((spent, y))
    axes.plot(xs, shown, "o", color="0.45", markersize=4, label="evaluation")
    if steps:
        limits = view(shown, steps[-1][1])
        axes.set_ylim(limits)
        mark_outside(axes, xs, shown, limits)
        ends = [*steps, (spent, steps[-1][1])]
        axes.step(
            *zip(*ends, strict=True), where="post", color="C0", linewidth=2, label="incumbent"
        )
    if failures:
        bottom = axes.get_xaxis_transform()
        axes.plot(
            failures, [0.02] * len(failures), "x", color="C3", transform=bottom, label="failed"
        )
    names = header.names
    axes.set_title(f"{names['optimizer']} on {names['objective']}, seed {header.seed}")
    axes.set_xlabel("budget spent (full evaluations)")
    axes.set_ylabel(metric or "value (minimised)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    if header.notice:
        figure.supxlabel(header.notice, fontsize=7, color="0.3", wrap=True)
    figure.savefig(path, dpi=150)


def view(values: Sequence[float], best: float) -> tuple[float, float]:
    """Return limits that show what matters of `values`: from `best` to well beyond the median.

    A few configurations that collapse would otherwise press all others into one line.
    """
    reach = 3 * (float(np.median(values)) - best)  # its sign is that of what is worse
    far = best + reach
    inside = [y for y in values if (y <= far if reach >= 0 else y >= far)]
    margin = 0.06 * (max(inside) - min(inside)) or 0.05 * abs(best) or 1.0
    return min(inside) - margin, max(inside) + margin


def mark_outside(
    axes: Axes, xs: Sequence[float], ys: Sequence[float], limits: tuple[float, float]
) -> None:
    """Mark at the edge the points that the limits leave out."""
    edge = axes.get_xaxis_transform()
    above = [x for x, y in zip(xs, ys, strict=True) if y > limits[1]]
    below = [x for x, y in zip(xs, ys, strict=True) if y < limits[0]]
    for places, height, marker in ((above, 0.97, "^"), (below, 0.03, "v")):
        if places:
            label = "off the scale"
            heights = [height] * len(places)
            axes.plot(
                places, heights, marker, color="0.45", mfc="none", transform=edge, label=label
            )
