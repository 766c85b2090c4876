"""Elements that several figures share: strips of failures, axis limits, legends."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.running.looks import PLAIN
from experiments.running.terminal import printable

_FAR = 3.0
"""A default further outside the limits than this multiple of their span is named, not drawn."""


Panel = tuple[Axes, Axes | None]
"""Axes of numbers, and the strip of failures below them."""


def with_strips(figure: Figure, rows: int, widths: Sequence[float] = (1,)) -> list[Panel]:
    """Return axes side by side, each above a strip with the given number of rows.

    A strip shares its horizontal axis with the axes above it. If `rows` is 0, there are no strips.
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
    """Put one legend on `axes` for the contents of all the axes, with each label once."""
    named: dict[str, Any] = {}
    for each in (axes, *others):
        for handle, label in zip(*each.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if named:
        axes.legend(list(named.values()), list(named), **style)


def draw_default(
    panels: Sequence[Axes], default: float | None, limits: tuple[float, float]
) -> tuple[float, float]:
    """Draw the default configuration's number as a line; return limits that include it.

    A number far outside the limits is only named in the legend, because including it would
    compress everything else.
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
    """Return the text as matplotlib draws it: without formulas, control characters as escapes.

    A control character has no glyph, and matplotlib's warning would send it to the terminal.
    """
    return printable(text).replace("$", r"\$")


def view(values: Sequence[float], best: float) -> tuple[float, float]:
    """Return axis limits that reach from `best` to well beyond the median of `values`.

    Without such limits, a few very bad configurations would compress all the others into one line.
    """
    reach = 3 * (float(np.median(values)) - best)  # positive if higher values are worse
    far = best + reach
    inside = [y for y in values if (y <= far if reach >= 0 else y >= far)]
    margin = 0.06 * (max(inside) - min(inside)) or 0.05 * abs(best) or 1.0
    return min(inside) - margin, max(inside) + margin


def mark_outside(
    axes: Axes, xs: Sequence[float], ys: Sequence[float], limits: tuple[float, float]
) -> None:
    """Mark the points outside the limits at the edge of the axes."""
    edge = axes.get_xaxis_transform()
    above = [x for x, y in zip(xs, ys, strict=True) if y > limits[1]]
    below = [x for x, y in zip(xs, ys, strict=True) if y < limits[0]]
    for places, height, marker in ((above, 0.97, "^"), (below, 0.03, "v")):
        if places:
            label = "off the scale"
            heights = [height] * len(places)
            axes.plot(places, heights, marker, color=PLAIN, mfc="none", transform=edge, label=label)
