"""A chart as data; `page.js` draws it by Plotly, `figures` by matplotlib.

Numbers that are not finite are gaps.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Number = float | None


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        title: what it shows, with its unit.
        log: whether it is logarithmic.
        ticks: labels at 0, 1, 2, ..., where it has no numbers.
        limits: what is shown of it; all unless given.
    """

    title: str
    log: bool = False
    ticks: list[str] = field(default_factory=list)
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Series:
    """One line, or one set of points.

    Attributes:
        name: of the optimizer, or of what the series shows.
        x: (n,).
        y: (n,).
        low: lower ends of the intervals of y (of x where the chart's kind is "dot"), or empty.
        high: upper ends.
        hover: a line for each point, or empty.
        failures: where on the x axis evaluations failed, each with what is said of it; they are
            drawn on a strip of their own below the chart.
        look: "optimizer": the look that the optimizer has everywhere; "marks": marks of that
            look without a line; else one of its own.
    """

    name: str
    x: list[Number]
    y: list[Number]
    low: list[Number] = field(default_factory=list)
    high: list[Number] = field(default_factory=list)
    hover: list[str] = field(default_factory=list)
    failures: list[tuple[float, str]] = field(default_factory=list)
    look: str = "optimizer"


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        name: of its files.
        title: over it.
        kind: "line"; "step" (a value holds until the next one); "dot": y is a place on an axis
            of names, intervals are horizontal.
        objective: the task that it shows, None for all together.
        caption: what one must know to read it.
        lines: horizontal lines, each with its label.
        brackets: pairs of places on the axis of names that a bar joins.
        notes: text at places within the chart: x, y, text.
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
    brackets: list[tuple[float, float]] = field(default_factory=list)
    notes: list[tuple[float, float, str]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether nothing would be drawn."""
        return not any(y is not None for one in self.series for y in one.y)


def numbers(values: Iterable[Any], digits: int = 6) -> list[Number]:
    """Return values with so many significant digits; None for those that are not finite."""
    return [float(f"{v:.{digits}g}") if math.isfinite(v) else None for v in map(float, values)]
