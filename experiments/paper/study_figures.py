"""The study's figures 2 to 6, redrawn from the evaluations."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.paper.pictures import BLUE, DARK, LIGHT, MIDDLE, NAMES, figure, letter
from experiments.paper.published import Floats, Point, Published, column

PARAMETERS = ("lora_rank", "lora_alpha", "lora_dropout", "learning_rate", "weight_decay")
METRICS = ("hellaswag", "mmlu")


def sampling(study: Published) -> Figure:
    """Draw figure 2: the scores of the LHS, their distributions, and the linear correlations."""
    points = study.of("LHS")
    made = figure(5.2)
    grid = made.add_gridspec(2, 4, height_ratios=[1, 1.6])
    for i, metric in enumerate(METRICS):
        scores = column(points, metric)
        axes = made.add_subplot(grid[0, 2 * i])
        axes.plot(np.arange(1, len(scores) + 1), scores, "o", color=DARK, markersize=3)
        axes.set(xlabel="evaluation", ylabel=NAMES[metric])
        letter(axes, "scores")
        axes = made.add_subplot(grid[0, 2 * i + 1])
        axes.hist(scores, bins=15, color=LIGHT, edgecolor=DARK, linewidth=0.6)
        axes.axvline(float(np.median(scores)), color=DARK, linestyle="--", linewidth=1)
        axes.set(xlabel=NAMES[metric], ylabel="evaluations")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=3))
        letter(axes, "distribution")
    axes = made.add_subplot(grid[1, :])
    letter(axes, "linear correlations; bold: $p$ < .05, each by itself")
    _matrix(axes, correlations(points), [NAMES[name] for name in (*PARAMETERS, *METRICS)])
    return made


def correlations(points: Sequence[Point]) -> Floats:
    """Return the linear correlations (7, 7) of the parameters and the metrics."""
    table = [column(points, name) for name in (*PARAMETERS, *METRICS)]
    return np.asarray(np.corrcoef(table))


def _matrix(axes: Axes, values: Floats, names: Sequence[str]) -> None:
    axes.imshow(np.abs(values), cmap="Greys", vmin=0, vmax=2, aspect="auto")
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if i == j:
                continue
            shown = f"{value:.2f}".replace("0.", ".").replace("-", "\N{MINUS SIGN}")
            weight = "bold" if abs(value) >= 0.28 else "normal"  # p < 0.05 for 50 rows
            axes.text(j, i, shown, ha="center", va="center", fontsize=7.5, weight=weight)
    shown_names = [name.replace("log10 ", "log10\n") for name in names]
    axes.set_xticks(range(len(names)), shown_names, fontsize=7)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def over_time(study: Published, algorithm: str) -> Figure:
    """Draw figure 3 (BO-GP) or 4 (SOO): scores and parameters over time, and the depth."""
    points = study.evaluated(algorithm)
    times = np.arange(1, len(points) + 1)
    deep = [point.depth is not None for point in points]
    panels = len(PARAMETERS) + any(deep)
    made = figure(4.6)
    grid = made.add_gridspec(3, 1, height_ratios=[1.5, 1, 1])
    axes = made.add_subplot(grid[0])
    _scores(axes, points)
    letter(axes, f"{algorithm}: scores")
    parts = grid[1:].subgridspec(2, 3)
    for i, name in enumerate([*PARAMETERS, "depth"][:panels]):
        axes = made.add_subplot(parts[i // 3, i % 3])
        axes.plot(times, column(points, name), "o", color=DARK, markersize=2.5)
        _phase(axes, points)
        axes.set_xlabel("evaluation")
        letter(axes, NAMES.get(name, "depth in the tree"))
    return made


def _scores(axes: Axes, points: Sequence[Point]) -> None:
    """Draw both metrics and the incumbent over time."""
    times = np.arange(1, len(points) + 1)
    scores = column(points, "hellaswag")
    axes.plot(times, scores, "o", color=BLUE, label="HellaSwag")
    axes.step(
        times, np.maximum.accumulate(scores), where="post", color=BLUE, label="HellaSwag incumbent"
    )
    axes.plot(times, column(points, "mmlu"), "^", color=MIDDLE, mfc="none", label="MMLU")
    _phase(axes, points)
    axes.set(xlabel="evaluation", ylabel="accuracy", ylim=(0.2, 0.53))
    axes.legend(ncols=4, loc="upper right")


def _phase(axes: Axes, points: Sequence[Point]) -> None:
    """Shade the initial sample, if there is one."""
    n = sum(point.phase == "sampling" for point in points)
    if n:
        axes.axvspan(0.5, n + 0.5, color="0.93", zorder=0, label="initial sample")


def bamsoo(study: Published) -> Figure:
    """Draw figure 5: BaMSOO's evaluations and approximations, and the depths of SOO and BaMSOO."""
    points = study.of("BaMSOO")
    made = figure(3.0)
    grid = made.add_gridspec(1, 2, width_ratios=[1.7, 1])
    axes = made.add_subplot(grid[0])
    times = np.arange(1, len(points) + 1)
    ran = np.array([point.evaluated for point in points])
    scores = column(points, "hellaswag")
    axes.plot(times[ran], scores[ran], "o", color=BLUE, label="evaluated")
    for time, point in zip(times, points, strict=True):
        if point.bounds is not None:
            axes.plot([time, time], point.bounds, color=MIDDLE, linewidth=1)
    lower = [point.bounds[0] for point in points if point.bounds is not None]
    axes.plot(times[~ran], lower, "v", color=DARK, mfc="white", label="approximated: LCB to UCB")
    best = np.maximum.accumulate(np.where(ran, scores, 0))
    axes.step(times, best, where="post", color=BLUE, label="incumbent")
    axes.set(xlabel="node", ylabel="HellaSwag", ylim=(0.13, 0.56))
    axes.legend(ncols=3, loc="upper left")
    letter(axes, f"BaMSOO: {ran.sum()} evaluated, {(~ran).sum()} approximated")
    axes = made.add_subplot(grid[1])
    _depths(axes, study)
    letter(axes, "nodes by depth")
    return made


def _depths(axes: Axes, study: Published) -> None:
    groups = {
        "SOO": study.of("SOO"),
        "BaMSOO, evaluated": study.evaluated("BaMSOO"),
        "BaMSOO, approximated": [p for p in study.of("BaMSOO") if not p.evaluated],
    }
    looks = {
        "SOO": (LIGHT, ""),
        "BaMSOO, evaluated": (BLUE, ""),
        "BaMSOO, approximated": ("white", "////"),
    }
    deepest = int(max(column([p for group in groups.values() for p in group], "depth")))
    depths = np.arange(deepest + 1)
    below = np.zeros(deepest + 1)
    for name, group in groups.items():
        heights = np.bincount(column(group, "depth").astype(int), minlength=deepest + 1)
        color, hatch = looks[name]
        shift = -0.21 if name == "SOO" else 0.21
        bottom = below if name == "BaMSOO, approximated" else None
        axes.bar(
            depths + shift, heights, 0.4, bottom=bottom, color=color, hatch=hatch, label=name,
            edgecolor=DARK, linewidth=0.6,
        )  # fmt: skip
        below = heights.astype(float)
    axes.set(xlabel="depth", ylabel="nodes")
    axes.set_xticks(depths)
    axes.set_ylim(0, 1.35 * axes.get_ylim()[1])
    axes.legend(loc="upper left")


def compared(study: Published) -> Figure:
    """Draw figure 6: BO-GP, SOO and BaMSOO on both metrics, in comparison with LHS."""
    made = figure(2.8)
    panels = made.subplots(1, 2)
    lines = {"BO-GP": "-", "SOO": "--", "BaMSOO": "-.", "LHS": ":"}
    for algorithm, dashes in lines.items():
        points = study.evaluated(algorithm)
        scores = column(points, "hellaswag")
        first_best = [int(np.argmax(scores[: i + 1])) for i in range(len(scores))]
        color = MIDDLE if algorithm == "LHS" else DARK
        for axes, metric in zip(panels, METRICS, strict=True):
            shown = column(points, metric)[first_best]
            times = np.arange(1, len(points) + 1)
            axes.step(times, shown, where="post", linestyle=dashes, color=color, label=algorithm)
    panels[0].set(xlabel="evaluation", ylabel="best HellaSwag so far")
    panels[1].set(xlabel="evaluation", ylabel="MMLU at that incumbent")
    for axes, title in zip(panels, ("HellaSwag", "MMLU (test)"), strict=True):
        error = 0.005 if axes is panels[0] else 0.004
        top = axes.get_ylim()[1]
        axes.errorbar([54], [top - 3 * error], yerr=[error], color=DARK, capsize=2, linewidth=1)
        letter(axes, f"{title}; bar: one standard error")
        axes.legend(loc="lower right")
    return made
