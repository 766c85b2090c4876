"""Parameter importance: the study's linear correlations compared with fANOVA.

fANOVA (`statistics.importance`) computes the fraction of a random forest's variance over the space
that is due to each parameter's main effect. The forest is fitted to every evaluated configuration
once; if two algorithms evaluated the same one, to the mean of the scores. Two thirds of the
configurations were chosen by BO-GP and the partition methods, where scores are high. The
correlations use only the LHS, as in the study. A second fANOVA replaces alpha by alpha / rank,
whose logarithm spans its range in the data. It shows that the effects of alpha and rank in the
first one are the effect of a single quantity.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace
from matplotlib.figure import Figure

from experiments.analysis.statistics.importance import fanova
from experiments.paper.numbers import Cell, Table, number
from experiments.paper.pictures import BLUE, DARK, LIGHT, NAMES, figure
from experiments.paper.published import Point, Published, column, distinct
from experiments.paper.study_figures import PARAMETERS, correlations

_N_TREES = 64
_MAX_DEPTH = 64
_COLUMNS = ("linear correlation", "fANOVA", "fANOVA, alpha / rank for alpha")
_ROWS = {"ratio": "alpha / rank", **{name: NAMES[name] for name in PARAMETERS}}


def table(study: Published, space: ConfigurationSpace) -> Table:
    """Return the importance of each parameter for HellaSwag, computed in three ways."""
    from_lhs, from_all = study.source(study.of("LHS")), study.source(study.evaluated())
    linear = dict(zip(PARAMETERS, correlations(study.of("LHS"))[:5, 5].tolist(), strict=True))
    raw = _fanova(study, {name: _ends(space, name) for name in PARAMETERS})
    ratios = np.log10(column(_once(study), "ratio"))
    ends = {name: _ends(space, name) for name in PARAMETERS if name != "lora_alpha"}
    changed = _fanova(study, {"ratio": (float(ratios.min()), float(ratios.max())), **ends})
    rows = []
    for name, label in _ROWS.items():
        cells = []
        for values, source in ((linear, from_lhs), (raw, from_all), (changed, from_all)):
            if name in values:
                cells.append(number(values[name], 2, source))
            else:
                cells.append(Cell(None, "--", source))
        rows.append((label, cells))
    return Table("importance", ["parameter", *_COLUMNS], rows)


def _ends(space: ConfigurationSpace, name: str) -> tuple[float, float]:
    parameter: Any = space[name]
    ends = float(parameter.lower), float(parameter.upper)
    return (float(np.log10(ends[0])), float(np.log10(ends[1]))) if parameter.log else ends


def _fanova(study: Published, ends: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Return the importance for HellaSwag of each quantity, given the quantities' ranges."""
    points = _once(study)
    columns = {name: column(points, name) for name in ends}
    if "ratio" in columns:
        columns["ratio"] = np.log10(columns["ratio"])
    scores = [float(column(rows, "hellaswag").mean()) for rows in distinct(study.evaluated())]
    return fanova(columns, ends, np.array(scores), _N_TREES, _MAX_DEPTH)


def _once(study: Published) -> list[Point]:
    """Return the first row of each evaluated configuration."""
    return [rows[0] for rows in distinct(study.evaluated())]


def draw(made_table: Table) -> Figure:
    """Draw the table as bars; correlations are shown by their absolute values."""
    made = figure(2.5)
    axes = made.subplots()
    looks = [(LIGHT, "", "|linear correlation|, LHS"), (BLUE, "", _COLUMNS[1])]
    looks.append(("white", "////", _COLUMNS[2]))
    labels = [label for label, _ in made_table.rows]
    for i, (color, hatch, label) in enumerate(looks):
        values = [cells[i].value for _, cells in made_table.rows]
        sizes = [abs(value) if isinstance(value, float) else 0.0 for value in values]
        places = np.arange(len(labels)) + 0.27 * (i - 1)
        axes.bar(
            places, sizes, 0.25, color=color, hatch=hatch, edgecolor=DARK, linewidth=0.6,
            label=label,
        )  # fmt: skip
    axes.set_xticks(range(len(labels)), [label.replace("log10 ", "log10\n") for label in labels])
    axes.set_ylabel("importance for HellaSwag")
    axes.legend()
    return made
