"""The look of each optimizer, which is the same in all figures, in the report and in the paper.

A look is a colour, a dash and a marker, so that lines can be distinguished without colour too. The
file `looks.csv` states the looks of our optimizers, so that a new optimizer changes no other look.
The look of any other label (a plug-in, or an optimizer with its own settings) is computed from the
label, so that it is the same in every figure.
"""

import csv
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#332288", "#E69F00",
    "#882255", "#56B4E9", "#8C510A", "#666666", "#999933", "#117733",
    "#AA4499", "#44AA99", "#7B68EE", "#661100", "#66A61E", "#6699CC", "#E7298A", "#B8860B",
    "#4B0082", "#FF7F50", "#2F4F4F", "#00868B", "#8B7355", "#000080", "#F781BF", "#556B2F",
    "#9F79EE", "#A0522D", "#1E90FF", "#6E8B3D",
)  # fmt: skip
"""The colours of labels that `looks.csv` does not list: Okabe and Ito's without yellow and black,
then Tol's, then others. Neighbours differ in their dashes too, as the four dashes are used in
turn."""

OWN = "†"
"""Ends the name of an optimizer that is this suite's own method, judged by its authors."""

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

    A label that `looks.csv` lists, marked or not, always has the look stated there. Any other label
    always has the look computed from it, unless a listed label or one earlier in the alphabet uses
    that look.
    """
    given = list(dict.fromkeys(labels))
    names = {label: label.removesuffix(OWN) for label in given}
    found = {label: _listed()[names[label]] for label in given if names[label] in _listed()}
    taken = {(look.colour, look.dash) for look in found.values()}
    for label in sorted(label for label in given if label not in found):
        first = zlib.crc32(label.encode("utf-8", "surrogatepass"))
        turns = (_look((first + step) % N_LOOKS) for step in range(N_LOOKS))
        look = next(
            (look for look in turns if (look.colour, look.dash) not in taken),
            _look(first % N_LOOKS),  # all looks are in use
        )
        found[label] = look
        taken.add((look.colour, look.dash))
    return {label: found[label] for label in given}


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
def _listed() -> dict[str, Look]:
    """Return the looks that `looks.csv` states, by the optimizer's name."""
    with Path(__file__).with_name("looks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {row["name"]: Look(row["colour"], row["dash"], row["marker"]) for row in rows}
