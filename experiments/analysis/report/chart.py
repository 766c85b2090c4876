"""A chart as data. `web/charts.js` draws it with Plotly, and `figures` with matplotlib.

Numbers that are not finite are gaps.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Number = float | None

Selection = Literal["optimizers", "seeds", "objectives"]
"""What a reader of the page chooses among."""


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        title: the quantity, with its unit.
        log: whether the axis is logarithmic.
        ticks: labels at 0, 1, 2, ... if the axis is categorical.
        limits: the range shown; by default that of the data.
    """

    title: str
    log: bool = False
    ticks: list[str] = field(default_factory=list)
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Series:
    """One line or one set of points.

    Attributes:
        name: the name of the optimizer or of another quantity.
        x: horizontal coordinates, (n,).
        y: vertical coordinates, (n,).
        low: lower ends of the intervals of y (of x if the chart's kind is "dot"), or empty.
        high: upper ends of the intervals, or empty.
        hover: a line of text for each point, or empty.
        failures: the x coordinates of failed evaluations, each with a description; they are drawn
            on a separate strip below the chart.
        look: "optimizer" for the optimizer's colour and marker in all charts, "marks" for marks of
            that look without a line, or another look.
        trials: the seed and the id of the trial behind each point, or empty.
        runs: by seed, the run behind the line, as (index of x, y) at each change of y; the page
            takes the median of the chosen seeds from it.
    """

    name: str
    x: list[Number]
    y: list[Number]
    low: list[Number] = field(default_factory=list)
    high: list[Number] = field(default_factory=list)
    hover: list[str] = field(default_factory=list)
    failures: list[tuple[float, str]] = field(default_factory=list)
    look: str = "optimizer"
    trials: list[tuple[int, int]] = field(default_factory=list)
    runs: dict[int, list[tuple[int, Number]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        name: the name of its files.
        title: the heading above the chart.
        kind: "line"; "step" (a value holds until the next one); "dot" (y is a position on an axis
            of names, and intervals are horizontal).
        objective: the task that the chart shows; None for all tasks together.
        caption: an explanation for the reader.
        lines: horizontal lines, each with its label.
        brackets: groups of positions on the axis of names; each group is joined by a bar.
        notes: text within the chart, as (x, y, text).
        follows: the selections that it keeps to if the page leaves out what was not chosen; with
            another selection, the page hides it.
    """

    name: str
    title: str
    kind: Literal["line", "step", "dot"]
    x: Axis
    y: Axis
    series: list[Series]
    objective: str | None = None
    caption: str = ""
    lines: list[tuple[float, str]] = field(default_factory=list)
    brackets: list[list[float]] = field(default_factory=list)
    notes: list[tuple[float, float, str]] = field(default_factory=list)
    follows: tuple[Selection, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing would be drawn."""
        return not any(y is not None for one in self.series for y in one.y)


def numbers(values: Iterable[Any], digits: int = 6) -> list[Number]:
    """Return values rounded to a number of significant digits; None for non-finite ones."""
    return [float(f"{v:.{digits}g}") if math.isfinite(v) else None for v in map(float, values)]
