"""The experiment with random adapters: is an untrained model's score a function of alpha / rank?

`objectives/lora_ft/drawn_adapters.py` writes the CSV file. Its columns are the rank, alpha / rank
(`ratio`; 0 is the base model), the number of the draw, and the results on HellaSwag's items.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.paper.landscape import CHANCE, halfway, isotonic, untrained
from experiments.paper.numbers import Facts, Section, Source, Table, count, number
from experiments.paper.pictures import BLUE, DARK, MIDDLE, figure, letter
from experiments.paper.published import Floats, Published, column, ranges
from experiments.replaying import recording

_COLUMNS = ("rank", "ratio", "draw", "items", "acc", "log_likelihood_change", "size")
_MARKERS = "osD^v<>Ph*"


@dataclass(frozen=True)
class Drawn:
    """The cells of the experiment as arrays (n,), and separately the row of the base model."""

    name: str
    rows: list[int]
    rank: Floats
    ratio: Floats
    accuracy: Floats
    loss: Floats
    size: Floats
    base: float
    base_row: int
    items: int

    def source(self, which: Sequence[bool] | None = None) -> Source:
        """Return the source entry of a number that is computed from these cells."""
        chosen = self.rows if which is None else np.array(self.rows)[np.array(which)].tolist()
        return {"results": self.name, "rows": ranges(chosen)}


def read(path: Path, name: str) -> Drawn:
    """Read the cells.

    Raises:
        ValueError: a column is missing, a cell is invalid or appears twice, or there is no row of
            the base model.
        OSError: the file cannot be read.
    """
    columns, rows = recording.read_rows(path)
    for needed in _COLUMNS:
        if needed not in columns:
            raise ValueError(f"{path}: expected a column {needed}, got {columns}")
    seen: dict[tuple[float, ...], int] = {}
    for row in rows:
        place = row.finite("rank"), row.finite("ratio"), row.finite("draw")
        if place in seen:
            raise ValueError(f"{row.where}: expected a new cell, got row {seen[place]} again")
        seen[place] = row.number
    base = [row for row in rows if row.finite("ratio") == 0]
    drawn = [row for row in rows if row.finite("ratio") > 0]
    if len(base) != 1 or not drawn:
        raise ValueError(
            f"{path}, column ratio: expected one row of 0 and others above, got {len(base)} of 0"
        )
    table = {key: np.array([row.finite(key) for row in drawn]) for key in _COLUMNS}
    return Drawn(
        name=name,
        rows=[row.number for row in drawn],
        rank=table["rank"],
        ratio=table["ratio"],
        accuracy=table["acc"],
        loss=-table["log_likelihood_change"],
        size=table["size"],
        base=base[0].finite("acc"),
        base_row=base[0].number,
        items=int(base[0].finite("items")),
    )


def sections(drawn: Drawn) -> list[Section]:
    """Return the table by alpha / rank, and the variance that alpha / rank alone explains."""
    rows = []
    for ratio in np.unique(drawn.ratio):
        here = drawn.ratio == ratio
        source = drawn.source(here.tolist())
        cells = [count(int(here.sum()), source), number(float(drawn.size[here].mean()), 3, source)]
        for values, digits in ((drawn.accuracy[here], 3), (drawn.loss[here], 3)):
            shown = float(values.mean()), float(values.min()), float(values.max())
            cells += [number(value, digits, source) for value in shown]
        rows.append((f"{ratio:g}", cells))
    columns = ["alpha / rank", "cells", "update / weight", "accuracy", "lowest", "highest"]
    table = Table("drawn", [*columns, "nats lost", "least", "most"], rows)
    source = drawn.source()
    positive = drawn.loss > 0
    logs = np.log10(drawn.loss[positive])
    ratios, inverse = np.unique(drawn.ratio, return_inverse=True)
    means = np.bincount(inverse, drawn.accuracy) / np.bincount(inverse)
    base: Source = {"results": drawn.name, "rows": str(drawn.base_row)}
    facts = {
        "DrawnCells": count(len(drawn.rows), source),
        "DrawnItems": count(drawn.items, base),
        "DrawnBase": number(drawn.base, 3, base),
        "DrawnAccuracyError": number(
            math.sqrt(drawn.base * (1 - drawn.base) / drawn.items), 2, base
        ),
        "DrawnHalf": number(halfway(ratios, means, drawn.base), 1, source),
        "DrawnAccuracyRsq": number(by_ratio(drawn.ratio, drawn.accuracy), 2, source),
        "DrawnLossRsq": number(
            by_ratio(drawn.ratio[positive], logs), 3, drawn.source(positive.tolist())
        ),
        "DrawnRanks": count(len(np.unique(drawn.rank)), source),
    }
    return [table, Facts("drawn_facts", facts)]


def by_ratio(ratio: Floats, y: Floats) -> float:
    """Return the fraction of the variance of y (n,) that is between values of alpha / rank."""
    places, inverse = np.unique(ratio, return_inverse=True)
    means = np.bincount(inverse, y) / np.bincount(inverse)
    return 1 - float(((y - means[inverse]) ** 2).sum()) / float(((y - y.mean()) ** 2).sum())


def draw(drawn: Drawn, study: Published) -> Figure:
    """Draw the relative accuracy with the published curve, and the loss of log-likelihood."""
    made = figure(3.0)
    left, right = made.subplots(1, 2)
    points = untrained(study)
    x, y = column(points, "ratio"), column(points, "hellaswag")
    fitted, order = isotonic(x, y), np.argsort(x)
    share = (fitted - CHANCE) / (fitted.max() - CHANCE)
    left.plot(x[order], share[order], color=BLUE)
    gap = drawn.base - CHANCE
    for axes, values in ((left, (drawn.accuracy - CHANCE) / gap), (right, drawn.loss)):
        _by_rank(axes, drawn, values)
        axes.set_xscale("log")
        axes.set_xlabel("alpha / rank")
    error = math.sqrt(drawn.base * (1 - drawn.base) / drawn.items) / gap
    left.errorbar([0.022], [0.5], yerr=[error], color=DARK, capsize=2, linewidth=1)
    left.text(0.026, 0.25, "plus and minus\none standard\nerror", va="center")
    left.axhline(0, color=MIDDLE, linestyle=":", linewidth=1)
    left.axhline(1, color=MIDDLE, linestyle=":", linewidth=1)
    left.set_ylabel("accuracy: 0 chance, 1 base model")
    left.text(0.6, 0.68, "published,\nisotonic fit", color=BLUE, va="center", ha="right")
    letter(left, f"accuracy on {drawn.items} items")
    right.set_yscale("log")
    right.set_ylabel("log-likelihood lost, nats a token")
    right.legend(loc="upper left")
    letter(right, "the right ending's log-likelihood")
    return made


def _by_rank(axes: Axes, drawn: Drawn, values: Floats) -> None:
    """Draw the means over draws, with one marker per rank."""
    for marker, rank in zip(_MARKERS, np.unique(drawn.rank), strict=False):
        ratios = np.unique(drawn.ratio[drawn.rank == rank])
        means = [values[(drawn.rank == rank) & (drawn.ratio == r)].mean() for r in ratios]
        axes.plot(
            ratios, means, marker, color=DARK, mfc="none", markersize=4, linestyle="none",
            label=f"drawn, rank {rank:g}",
        )  # fmt: skip
