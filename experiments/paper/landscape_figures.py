"""Figures of the landscape: the collapse, the cliff, the repeated configurations."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.paper.landscape import (
    CHANCE,
    CLIFF,
    LITTLE,
    UNTRAINED,
    explained,
    isotonic,
    pairs,
    untrained,
)
from experiments.paper.pictures import BLUE, DARK, MIDDLE, NAMES, ORANGE, figure, letter
from experiments.paper.published import Floats, Published, column


def collapse(study: Published) -> Figure:
    """Draw the untrained scores over alpha / rank with the isotonic fit, alpha, and rank."""
    points = untrained(study)
    y = column(points, "hellaswag")
    made = figure(2.6)
    panels = made.subplots(1, 3, sharey=True, width_ratios=[1.6, 1, 1])
    for axes, name in zip(panels, ("ratio", "lora_alpha", "lora_rank"), strict=True):
        x = column(points, name)
        fitted = isotonic(x, y, increasing=name == "lora_rank")
        axes.plot(x, y, "o", color=DARK, mfc="none", markersize=3.5)
        if name == "ratio":
            _steps(axes, x, fitted)
            axes.set_xscale("log")
            axes.axhline(CHANCE, color=MIDDLE, linestyle=":", linewidth=1)
            axes.text(0.02, CHANCE + 0.004, "chance", color=MIDDLE)
        axes.set_xlabel(NAMES[name])
        letter(axes, f"{NAMES[name]}: isotonic $R^2$ = {explained(fitted, y):.4f}")
    panels[0].set_ylabel(f"HellaSwag, rate < $10^{{{UNTRAINED:g}}}$")
    return made


def _steps(axes: Axes, x: Floats, fitted: Floats) -> None:
    order = np.argsort(x)
    axes.plot(x[order], fitted[order], "-", color=BLUE, linewidth=1, zorder=0, label="isotonic fit")
    axes.legend(loc="center left")


def cliff(study: Published) -> Figure:
    """Draw the scores over the learning rate, with one marker per range of alpha / rank."""
    made = figure(2.8)
    panels = made.subplots(1, 2, sharex=True)
    points = study.evaluated()
    looks = [
        (f"alpha / rank up to {LITTLE:g}", 0.0, LITTLE, "o", DARK, DARK),
        (f"{LITTLE:g} to 1", LITTLE, 1.0, "^", BLUE, "none"),
        ("above 1", 1.0, np.inf, "x", MIDDLE, MIDDLE),
    ]
    for axes, metric in zip(panels, ("hellaswag", "mmlu"), strict=True):
        axes.axvspan(CLIFF, -0.8, color="0.93", zorder=0)
        for label, low, high, marker, color, face in looks:
            here = [point for point in points if low < point.ratio <= high]
            axes.plot(
                column(here, "learning_rate"), column(here, metric), marker, color=color,
                mfc=face, markersize=3.5, label=label, linestyle="none",
            )  # fmt: skip
        axes.set(xlabel=NAMES["learning_rate"], ylabel=NAMES[metric], xlim=(-10.2, -0.9))
        letter(axes, NAMES[metric])
    made.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return made


def duplicates(study: Published) -> Figure:
    """Draw the number of items by which two runs of one configuration differ."""
    both = pairs(study)
    made = figure(2.5)
    axes = made.subplots()
    rates = np.array([pair.soo.log10_rate for pair in both])
    items = np.array([pair.items for pair in both])
    apart = np.abs(items) > 2
    for rate, item in sorted({*zip(rates[~apart].tolist(), items[~apart].tolist(), strict=True)}):
        n = int(((rates == rate) & (items == item)).sum())
        axes.plot(rate, item, "o", color=DARK, markersize=4 + n / 3)
        axes.annotate(str(n), (rate, item), xytext=(9, -3), textcoords="offset points")
    axes.plot(rates[apart], items[apart], "D", color=ORANGE, mfc="none", markersize=5)
    far = " and ".join(str(item) for item in sorted(items[apart].tolist()))
    middle = float(rates[apart].mean()), float(np.median(items[apart]))
    axes.annotate(
        f"{apart.sum()}: {far}", middle, (-10, -3), textcoords="offset points", ha="right"
    )
    axes.set_yscale("symlog", linthresh=4, linscale=1.6)
    ticks = [-2, -1, 0, 1, 2, 10, 100, 1000]
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.set_ylim(-3, 6000)
    axes.set_xlim(-9, -2)
    axes.axhspan(-2, 2, color="0.93", zorder=0)
    axes.set(xlabel=NAMES["learning_rate"], ylabel="items, SOO less BaMSOO")
    letter(
        axes, f"{len(both)} configurations run twice (numbers: how many); shaded: within 2 items"
    )
    return made
