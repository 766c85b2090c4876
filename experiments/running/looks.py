"""One look for each optimizer, the same in every figure, in the report and in the paper's plots.

A look is a colour, a dash and a marker, so that lines differ without their colours too. The
optimizers of `conf/optimizer/` take the looks in the order of their names. Other labels (a plug-in,
or an optimizer with settings of its own) start from a number that is computed from the label, so
that they keep their look from one figure to the next.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from experiments.running import provenance

COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#332288", "#E69F00",
    "#882255", "#56B4E9", "#8C510A", "#666666", "#999933", "#117733",
    "#AA4499", "#44AA99", "#7B68EE", "#661100", "#66A61E", "#6699CC", "#E7298A", "#B8860B",
)  # fmt: skip
"""Okabe and Ito's, but for yellow and black, then Tol's, then others. Similar ones differ in their
dashes, as four of these come before a dash returns."""

FAILED = "#B00020"
"""Of failures, where they are those of one run."""

PLAIN = "#666666"
"""Of points and lines that belong to no optimizer."""

DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
"""Matplotlib's names by Plotly's."""

MARKERS = {
    "circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "cross": "P",
    "triangle-down": "v", "star": "*", "pentagon": "p", "triangle-left": "<",
    "triangle-right": ">", "hexagon": "h", "diamond-tall": "d",
}  # fmt: skip
"""Matplotlib's names by Plotly's. None is a cross of thin lines, which stands for a failure."""

N_LOOKS = len(COLOURS) * len(DASHES)


@dataclass(frozen=True)
class Look:
    """Colour (hex), dash and marker, the last two by Plotly's names."""

    colour: str
    dash: str
    marker: str

    @property
    def line(self) -> dict[str, Any]:
        """Colour, dash and marker as arguments of `Axes.plot`."""
        return {
            "color": self.colour,
            "linestyle": DASHES[self.dash],
            "marker": MARKERS[self.marker],
        }


def looks(labels: Iterable[str]) -> dict[str, Look]:
    """Return a look for each label; no two of 80 share colour and dash.

    An optimizer of `conf/optimizer/` has the same look whatever else is drawn. Any other label
    keeps its own look too, unless a label before it in the alphabet has taken it.
    """
    given = list(dict.fromkeys(labels))
    numbers = {label: _numbers()[label] for label in given if label in _numbers()}
    taken = set(numbers.values())
    for label in sorted(label for label in given if label not in numbers):
        number = zlib.crc32(label.encode("utf-8", "surrogatepass")) % N_LOOKS
        while number in taken and len(taken) < N_LOOKS:
            number = (number + 1) % N_LOOKS
        numbers[label] = number
        taken.add(number)
    return {label: _look(numbers[label]) for label in given}


def _look(number: int) -> Look:
    """Return the look of a number; each round through the colours or markers shifts the others."""
    turn = number // len(COLOURS)
    dashes, markers = list(DASHES), list(MARKERS)
    return Look(
        COLOURS[number % len(COLOURS)],
        dashes[(number + turn) % len(dashes)],
        markers[(number + number // len(markers)) % len(markers)],
    )


@cache
def _numbers() -> dict[str, int]:
    """Return the numbers of the optimizers that this project has."""
    folder = provenance.CONF / "optimizer"
    return {path.stem: i % N_LOOKS for i, path in enumerate(sorted(folder.glob("*.yaml")))}
