"""Pieces of figures that more than one of them has: strips of failures, limits, legends."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.running.looks import PLAIN

_FAR = 3.0
"""A default that lies further outside the limits, in their heights, is named and not drawn."""


Panel = tuple[Axes, Axes | None]
"""Axes of numbers, and the strip of failures below them."""


def with_strips(figure: Figure, rows: int, widths: Sequence[float] = (1,)) -> list[Panel]:
    """Return axes side by side, each with a strip below it that has so many rows.

    A strip shares its horizontal axis with the axes above it. Without rows there is no strip.
    """
    if rows == 0:
        return [(axes, None) for axes in _row(figure.subplots(1, len(widths), width_ratios=widths))]
    low = 0.22 + 0.16 * (rows - 1)  # inches
    high = max(figure.get_figheight() - low - 1.0, 1.5)
    grid = figure.subplots(
        2, len(widths), sharex="col", squeeze=False, width_ratios=widths, height_ratios=[high, low]
    )
    panels: list[Panel] = []
    for axes, strip in zip(*grid, strict=True):
        axes.tick_params(labelbottom=False)
        strip.set_ylim(rows - 0.4, -0.6)
        strip.tick_params(axis="y", length=0, labelsize=8)
        strip.set_facecolor("0.96")
        panels.append((axes, strip))
    return panels


def _row(axes: Any) -> list[Axes]:
    return list(np.ravel(axes))


def legend(axes: Axes, *others: Axes, **style: Any) -> None:
    """Put one legend on `axes` that names what these and the others show, each label once."""
    named: dict[str, Any] = {}
    for each in (axes, *others):
        for handle, label in zip(*each.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if named:
        axes.legend(list(named.values()), list(named), **style)


def draw_default(
    panels: Sequence[Axes], default: float | None, limits: tuple[float, float]
) -> tuple[float, float]:
    """Draw the default configuration's number as a line; return limits that show it.

    One that is far outside is only named, so that it does not press everything else flat.
    """
    if default is None:
        return limits
    low, high = limits
    span = high - low
    if not low - _FAR * span <= default <= high + _FAR * span:
        panels[0].plot(
            [],
            [],
            linestyle=(0, (5, 1)),
            color="0.3",
            label=f"default: {default:.4g}, off the scale",
        )
        return limits
    for axes in panels:
        axes.axhline(default, color="0.3", linewidth=1, linestyle=(0, (5, 1)), label="default")
    margin = 0.04 * span
    return min(low, default - margin), max(high, default + margin)


def plain_text(text: str) -> str:
    """Return text in which matplotlib finds no formula."""
    return text.replace("$", r"\$")


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
            axes.plot(places, heights, marker, color=PLAIN, mfc="none", transform=edge, label=label)
