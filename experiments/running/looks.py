"""The look of each optimizer, which is the same in all figures, in the report and in the paper.

A look is a colour, a dash and a marker, so that lines can be distinguished without colour too. The
optimizers in `conf/optimizer/` receive the looks in the order of their names. The look of any
other label (a plug-in, or an optimizer with its own settings) is computed from the label, so that
it is the same in every figure.
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
    "#4B0082", "#FF7F50", "#2F4F4F", "#00868B", "#8B7355", "#000080", "#F781BF", "#556B2F",
    "#9F79EE", "#A0522D", "#1E90FF", "#6E8B3D",
)  # fmt: skip
"""Okabe and Ito's colours without yellow and black, then Tol's, then others. Neighbours differ in
their dashes too, as the four dashes are used in turn."""

FAILED = "#B00020"
"""The colour of failures in a figure of a single run."""

PLAIN = "#666666"
"""The colour of points and lines that belong to no optimizer."""

DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
"""Matplotlib's names of the dashes, by Plotly's names."""

MARKERS = {
    "circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "cross": "P",
    "triangle-down": "v", "star": "*", "pentagon": "p", "triangle-left": "<",
    "triangle-right": ">", "hexagon": "h", "diamond-tall": "d",
}  # fmt: skip
"""Matplotlib's names of the markers, by Plotly's names. The thin cross is reserved for failures."""

N_LOOKS = len(COLOURS) * len(DASHES)


@dataclass(frozen=True)
class Look:
    """A colour (hexadecimal), and a dash and a marker by Plotly's names."""

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
    """Return a look for each label; up to 128 labels differ in colour or dash.

    An optimizer in `conf/optimizer/` always has the same look. So does any other label, unless an
    optimizer, or a label earlier in the alphabet, already uses its look.
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
    """Return the look of a number; each pass through the colours shifts dashes and markers."""
    turn = number // len(COLOURS)
    dashes, markers = list(DASHES), list(MARKERS)
    return Look(
        COLOURS[number % len(COLOURS)],
        dashes[(number + turn) % len(dashes)],
        markers[(number + number // len(markers)) % len(markers)],
    )


@cache
def _numbers() -> dict[str, int]:
    """Return the numbers of the optimizers in `conf/optimizer/`, by name."""
    folder = provenance.CONF / "optimizer"
    return {path.stem: i % N_LOOKS for i, path in enumerate(sorted(folder.glob("*.yaml")))}
