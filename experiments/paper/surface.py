"""The closed-form surface compared with the study's evaluations, with cross-validated errors.

The fitted predictions come from the objective. The held-out predictions come from
`results/lora_published_fit/held_out.csv`, which `python -m objectives.lora_published.fit data=CSV
out=...` writes. They use ten folds with three different random assignments.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from experiments.paper.numbers import Source, Table, number
from experiments.paper.pictures import BLUE, DARK, MIDDLE, NAMES, figure, letter
from experiments.paper.published import Floats, Point, Published, column
from experiments.replaying import recording
from objectives.objective import Objective
from objectives.trial import Trial

METRICS = {"hellaswag": "hellaswag_acc", "mmlu": "mmlu_acc"}
_CLIFF = (-4.0, -2.0)  # the range of the log10 learning rate in which a run may diverge
_FOLDS = {"rows": "held out, rows apart", "groups": "held out, equal rows together"}
_N_DEALS = 3


def rows_in_order(study: Published) -> list[Point]:
    """Return the evaluated rows in the order of the CSV file and of the held-out predictions."""
    return sorted(study.evaluated(), key=lambda point: point.row)


def read_held_out(path: Path, study: Published) -> dict[str, Floats]:
    """Return the held-out predictions by column, each of shape (n,).

    Raises:
        ValueError: the file does not belong to the rows of this study.
        OSError: the file cannot be read.
    """
    columns, rows = recording.read_rows(path)
    again = f"run: python -m objectives.lora_published.fit data=CSV out={path}"
    wanted = [name_of(m, f, d) for m in METRICS.values() for f in _FOLDS for d in range(_N_DEALS)]
    for name in ["lora_rank_used", "lora_alpha_used", "log10_learning_rate", *wanted]:
        if name not in columns:
            raise ValueError(f"{path}: expected a column {name}, got {columns}; {again}")
    found = {name: np.array([row.finite(name) for row in rows]) for name in columns}
    points = rows_in_order(study)
    for name, source in (("lora_rank", "lora_rank_used"), ("learning_rate", "log10_learning_rate")):
        here = column(points, name)
        if len(rows) != len(points) or not np.allclose(here, found[source], atol=1e-4):
            raise ValueError(f"{path}: expected the rows of {study.name}, got others; {again}")
    return found


def name_of(metric: str, folds: str, deal: int) -> str:
    """Return the name of the column for one assignment of the folds."""
    return f"{metric}_{folds}_{deal}"


def answers(objective: Objective, points: Sequence[Point]) -> dict[str, Floats]:
    """Return the objective's predictions for n rows by metric, each of shape (n,)."""
    found = [objective.evaluate(Trial(i, point.config)).metrics for i, point in enumerate(points)]
    return {metric: np.array([one[name] for one in found]) for metric, name in METRICS.items()}


def errors(predicted: Floats, observed: Floats, log10_rate: Floats) -> Floats:
    """Return R^2, the RMSE, and the RMSE without the rows on the cliff, shape (3,)."""
    residual = predicted - observed
    r2 = 1 - float(residual @ residual) / float(((observed - observed.mean()) ** 2).sum())
    calm = (log10_rate < _CLIFF[0]) | (log10_rate > _CLIFF[1])
    rmse = [float(np.sqrt(np.mean(part**2))) for part in (residual, residual[calm])]
    return np.array([r2, *rmse])


def table(study: Published, objective: Objective, held_out: dict[str, Floats], path: str) -> Table:
    """Return the surface's errors: fitted, and cross-validated as means of three assignments."""
    points = rows_in_order(study)
    rates = column(points, "learning_rate")
    source = study.source(points)
    predictions = {"fitted": {m: [a] for m, a in answers(objective, points).items()}}
    for folds, label in _FOLDS.items():
        predictions[label] = {
            metric: [held_out[name_of(name, folds, deal)] for deal in range(_N_DEALS)]
            for metric, name in METRICS.items()
        }
    rows = []
    for label, by_metric in predictions.items():
        cells = []
        here: Source = source if label == "fitted" else {**source, "results": path}
        for metric, deals in by_metric.items():
            observed = column(points, metric)
            mean = np.mean([errors(one, observed, rates) for one in deals], axis=0)
            digits = zip(mean.tolist(), (3, 4, 4), strict=True)
            cells += [number(value, n, here) for value, n in digits]
        rows.append((label, cells))
    columns = ["", *(f"{NAMES[m]}, {e}" for m in METRICS for e in ("$R^2$", "RMSE", "outside"))]
    return Table("surface", columns, rows, groups=[(NAMES[metric], 3) for metric in METRICS])


def draw(study: Published, objective: Objective, held_out: dict[str, Floats]) -> Figure:
    """Draw the held-out predictions against the data, and the residuals over the learning rate."""
    points = rows_in_order(study)
    rates = column(points, "learning_rate")
    cliff = (rates >= _CLIFF[0]) & (rates <= _CLIFF[1])
    made = figure(4.4)
    panels = made.subplots(2, 2)
    for (left, right), (metric, name) in zip(panels, METRICS.items(), strict=True):
        observed = column(points, metric)
        predicted = held_out[name_of(name, "groups", 0)]
        low, high = 0.22, float(observed.max()) + 0.02
        left.plot([low, high], [low, high], color=MIDDLE, linewidth=0.8)
        for rows, marker, face, color, label in (
            (~cliff, "o", "none", DARK, "other rows"),
            (cliff, "^", BLUE, BLUE, "rates of $10^{-4}$ to $10^{-2}$"),
        ):
            look = {"marker": marker, "mfc": face, "color": color, "markersize": 3.5}
            left.plot(observed[rows], predicted[rows], linestyle="none", label=label, **look)
            residual = (observed - predicted)[rows]
            right.plot(rates[rows], residual, linestyle="none", **look)
        left.set(xlabel=f"{NAMES[metric]}, evaluated", ylabel="held out, predicted")
        right.set(xlabel=NAMES["learning_rate"], ylabel="evaluated less predicted")
        right.axhline(0, color=MIDDLE, linewidth=0.8)
        letter(left, NAMES[metric])
        letter(right, f"{NAMES[metric]}: residuals")
    panels[0, 0].legend(loc="upper left")
    return made
