"""One look per optimizer, the same in every chart: colour, dash and marker, each told alone."""

from dataclasses import dataclass

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666"]
"""Okabe and Ito's, safe for the colour-blind, but for yellow and black."""

DASHES = ["solid", "dash", "dot", "dashdot"]
MARKERS = ["circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "star", "x"]


@dataclass(frozen=True)
class Look:
    """Colour (hex), dash and marker, by Plotly's names."""

    colour: str
    dash: str
    marker: str


def looks(names: list[str]) -> dict[str, Look]:
    """Return a look for each name; no two of 28 share colour and dash."""
    return {
        name: Look(
            COLOURS[i % len(COLOURS)],
            DASHES[(i + 2 * (i // len(COLOURS))) % len(DASHES)],
            MARKERS[i % len(MARKERS)],
        )
        for i, name in enumerate(names)
    }
