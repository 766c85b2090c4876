"""Refit the surface from the evaluations: `python -m objectives.lora_published.fit data=CSV`.

`out=CSV` writes the held-out predictions of each row, that is, those of fits without this row, by
metric, folds and partition, with five digits. `tuneoff paper` reads them.

For each metric, the program prints the thirteen parameters as `objective.py` holds them, and the
errors of a ten-fold cross-validation. The folds are by rows, and with equal (rank, alpha, rate) in
one fold. Errors are the mean over three random partitions into folds, because a few rows on the
cliff change R2 by 0.02 from one partition to the next. The fit is least squares (SciPy's trust
region) from fixed starting points and from draws of a fixed seed; the smallest sum of squares wins.
The result is deterministic and takes about a minute.
"""

import csv
import sys
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from objectives.lora_published.evaluations import Array, Evaluations, read
from objectives.lora_published.surface import Surface

_DIGITS = 4
_N_FOLDS = 10
_N_DEALS = 3
_N_STARTS = 24
_N_FOLD_STARTS = 4  # one of which is the fit to all rows
_CLIFF = (-4.0, -2.0)  # range of log10 rate in which a run may diverge

#        ch, b, log10 s0, k, c, rho, l1, w1, l2, w2, kk, g, lg
_START = (0.25, 0.45, -0.15, 2.5, 0.05, 0.3, -4.5, 0.5, -2.8, 0.1, 0.5, 0.0, -4.0)
_LOWER = (0.2, 0.3, -1.0, 0.5, 0.0, 0.0, -8.0, 0.02, -5.0, 0.02, 0.0, -0.2, -6.0)
_UPPER = (0.3, 0.6, 1.0, 6.0, 1.0, 1.5, -2.0, 3.0, -1.0, 1.0, 1.5, 0.2, -2.0)


def fit(scale: Array, log10_rate: Array, accuracy: Array, starts: Sequence[Array]) -> Surface:
    """Return the surface of least squared error over n rows, the best over all starting points."""

    def residuals(parameters: Array) -> Array:
        return Surface(*parameters).accuracy(scale, log10_rate) - accuracy

    found = [
        least_squares(residuals, start, bounds=(_LOWER, _UPPER), x_scale=_SPREAD, max_nfev=400)
        for start in starts
    ]
    best = min(found, key=lambda result: float(result.cost))
    return Surface(*best.x.tolist())


_SPREAD = (np.array(_UPPER) - np.array(_LOWER)) / 10


def starts(n: int, seed: int) -> list[Array]:
    """Return n starting points (13,): a fixed one, then draws between the bounds."""
    rng = np.random.default_rng(seed)
    drawn = [rng.uniform(_LOWER, _UPPER) for _ in range(n - 1)]
    return [np.array(_START), *drawn]


def folds(groups: NDArray[np.int_], n_folds: int, seed: int) -> NDArray[np.int_]:
    """Return the fold (n,) of each row; groups go, in random order, to the smallest fold."""
    fold = np.zeros(len(groups), dtype=int)
    sizes = np.zeros(n_folds, dtype=int)
    for group in np.random.default_rng(seed).permutation(np.unique(groups)):
        smallest = int(sizes.argmin())
        fold[groups == group] = smallest
        sizes[smallest] += int((groups == group).sum())
    return fold


def predict_held_out(
    data: Evaluations, metric: str, fold: NDArray[np.int_], whole: Surface
) -> Array:
    """Return the prediction (n,) of each row by a fit without its fold."""
    scale, accuracy = data.alpha / data.rank, data.accuracies[metric]
    predicted = np.zeros(len(accuracy))
    begin = np.clip(np.array(astuple(whole)), _LOWER, _UPPER)
    for number in np.unique(fold):
        out = fold == number
        points = [begin, *starts(_N_FOLD_STARTS - 1, seed=int(number))]
        surface = fit(scale[~out], data.log10_rate[~out], accuracy[~out], points)
        predicted[out] = surface.accuracy(scale[out], data.log10_rate[out])
    return predicted


def errors(predicted: Array, accuracy: Array, log10_rate: Array) -> Array:
    """Return R^2, RMSE, and RMSE without the rows on the cliff (3,)."""
    residual = predicted - accuracy
    r2 = 1 - float(residual @ residual) / float(((accuracy - accuracy.mean()) ** 2).sum())
    calm = (log10_rate < _CLIFF[0]) | (log10_rate > _CLIFF[1])
    rmse = [float(np.sqrt(np.mean(part**2))) for part in (residual, residual[calm])]
    return np.array([r2, *rmse])


def _said(name: str, error: Array) -> str:
    low, high = _CLIFF
    r2, rmse, calm = error.tolist()
    return f"  {name:<20} R2 {r2:.3f}, RMSE {rmse:.4f}, outside 10^{low:g}..10^{high:g} {calm:.4f}"


def cross_validate(data: Evaluations) -> tuple[dict[str, Surface], dict[str, Array]]:
    """Fit both metrics.

    Returns:
        The surface of each metric, and the held-out predictions, (n,) each, by `<metric>_<rows or
            groups>_<deal>`. With groups, equal (rank, alpha, rate) are in one fold.
    """
    rows = np.arange(len(data.rank))
    surfaces: dict[str, Surface] = {}
    held_out: dict[str, Array] = {}
    for metric, accuracy in data.accuracies.items():
        scale = data.alpha / data.rank
        whole = fit(scale, data.log10_rate, accuracy, starts(_N_STARTS, seed=0))
        whole = Surface(*(round(value, _DIGITS) for value in astuple(whole)))
        surfaces[metric] = whole
        for name, groups in (("rows", rows), ("groups", data.groups)):
            for seed in range(_N_DEALS):
                fold = folds(groups, _N_FOLDS, seed)
                predicted = predict_held_out(data, metric, fold, whole)
                held_out[f"{metric}_{name}_{seed}"] = predicted
    return surfaces, held_out


def report(data: Evaluations, surfaces: dict[str, Surface], held_out: dict[str, Array]) -> str:
    """Return the lines to print."""
    lines = [f"{len(data.rank)} rows, {len(np.unique(data.groups))} different (rank, alpha, rate)"]
    for metric, accuracy in data.accuracies.items():
        lines += ["", f"{metric}: {surfaces[metric]}"]
        fitted = surfaces[metric].accuracy(data.alpha / data.rank, data.log10_rate)
        lines.append(_said("fitted", errors(fitted, accuracy, data.log10_rate)))
        for label, name in (("by rows", "rows"), ("equal ones together", "groups")):
            deals = [held_out[f"{metric}_{name}_{seed}"] for seed in range(_N_DEALS)]
            each = [errors(predicted, accuracy, data.log10_rate) for predicted in deals]
            lines.append(_said(label, np.mean(each, axis=0)))
    return "\n".join(lines)


def write(data: Evaluations, held_out: dict[str, Array], path: Path) -> None:
    """Write the held-out predictions, one row per evaluation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {
        "lora_rank_used": data.rank,
        "lora_alpha_used": data.alpha,
        "log10_learning_rate": data.log10_rate,
    }
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*known, *held_out])
        for row in zip(*known.values(), *held_out.values(), strict=True):
            writer.writerow([f"{value:.5g}" for value in row])


def main(arguments: Sequence[str]) -> int:
    """Fit both metrics and print the result; return the exit status."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    try:
        if not {"data"} <= set(given) <= {"data", "out"} or not all(given.values()):
            raise ValueError(
                f"fit: expected data=CSV [out=CSV], got {' '.join(arguments) or 'nothing'}"
            )
        data = read(Path(given["data"]).expanduser())
        surfaces, held_out = cross_validate(data)
        if "out" in given:
            write(data, held_out, Path(given["out"]).expanduser())
        print(report(data, surfaces, held_out))
    except OSError as error:
        print(f"{error.filename}: expected a file to read: {error.strerror}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
