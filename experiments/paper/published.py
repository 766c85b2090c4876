"""Reading of the published study's evaluations from a CSV file.

Every error message names the row and the column.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from experiments.paper.numbers import Source
from experiments.replaying import recording
from objectives.trial import Config

Floats = NDArray[np.float64]
ALGORITHMS = ("LHS", "BO-GP", "SOO", "BaMSOO")
N_HELLASWAG = 10_042  # the number of items in the validation set, on which accuracies are computed
WHERE_FROM = (
    "the study's files are public (github.com/Kiwy3/BO_PBO_HPO_LLM, MIT) and "
    "objectives/lora_published/convert.py turns them into the CSV"
)


@dataclass(frozen=True, slots=True)
class Point:
    """One row of the CSV file.

    Attributes:
        row: the number of the row, which is 1 for the first row below the header.
        config: the configuration that was run.
        phase: the phase of BO-GP, `sampling` or `optimization`.
        depth: the depth in the tree; None for an algorithm without a tree.
        hellaswag, mmlu: the accuracies, NaN if the row was only approximated; `_se` are their
            standard errors.
        bounds: the LCB and the UCB of the accuracy, if the row was only approximated.
        minutes: the durations of training and of scoring, if the row contains their times.
    """

    row: int
    algorithm: str
    config: Config
    phase: str
    depth: int | None
    hellaswag: float
    hellaswag_se: float
    mmlu: float
    mmlu_se: float
    bounds: tuple[float, float] | None
    minutes: tuple[float, float] | None = None

    @property
    def evaluated(self) -> bool:
        """Whether the fine-tuning was run."""
        return self.bounds is None

    @property
    def ratio(self) -> float:
        """The ratio alpha / rank."""
        return float(self.config["lora_alpha"]) / float(self.config["lora_rank"])

    @property
    def log10_rate(self) -> float:
        """The log10 of the learning rate, with the digits of the CSV file."""
        return round(math.log10(float(self.config["learning_rate"])), 12)


@dataclass(frozen=True)
class Published:
    """All rows of the CSV file."""

    name: str
    points: list[Point]

    def of(self, algorithm: str) -> list[Point]:
        """Return the rows of an algorithm, evaluated and approximated, in their order."""
        return [point for point in self.points if point.algorithm == algorithm]

    def evaluated(self, algorithm: str | None = None) -> list[Point]:
        """Return the evaluated rows, of one algorithm or of all."""
        wanted = self.points if algorithm is None else self.of(algorithm)
        return [point for point in wanted if point.evaluated]

    def source(self, points: Iterable[Point], **more: Any) -> Source:
        """Return the source entry of a number that is computed from these rows."""
        return {"csv": self.name, "rows": ranges(point.row for point in points), **more}


def distinct(points: Iterable[Point]) -> list[list[Point]]:
    """Return the rows grouped by configuration, in the order of their first appearance."""
    found: dict[tuple[Any, ...], list[Point]] = {}
    for point in points:
        found.setdefault(tuple(point.config.values()), []).append(point)
    return list(found.values())


def incumbent(points: Sequence[Point]) -> Point:
    """Return the first evaluation with the best HellaSwag accuracy."""
    return max(points, key=lambda point: point.hellaswag)


def column(points: Iterable[Point], name: str) -> Floats:
    """Return an attribute or a parameter of n rows, (n,); log parameters as logarithms."""
    values = []
    for point in points:
        if name in ("learning_rate", "weight_decay"):
            values.append(math.log10(float(point.config[name])))
        elif name in point.config:
            values.append(float(point.config[name]))
        else:
            values.append(float(getattr(point, name)))
    return np.array(values)


def ranges(rows: Iterable[int]) -> str:
    """Return row numbers in the form `1-50, 53`."""
    runs: list[list[int]] = []
    for row in sorted(set(rows)):
        if runs and row == runs[-1][1] + 1:
            runs[-1][1] = row
        else:
            runs.append([row, row])
    return ", ".join(f"{a}-{b}" if a < b else str(a) for a, b in runs)


def find(data: str | None) -> Path:
    """Return the path of the CSV file, given this path or the data folder that contains it.

    Raises:
        ValueError: the file does not exist.
    """
    if data is None:
        raise ValueError(
            "TUNEOFF_DATA: expected the folder with lora_hpo_evaluations/llama_3_2_1b.csv, "
            f"got nothing; set it, or give data=CSV: {WHERE_FROM}"
        )
    path = Path(data).expanduser()
    if path.is_dir():
        path = path / "lora_hpo_evaluations" / "llama_3_2_1b.csv"
    if not path.is_file():
        raise ValueError(f"data: expected the study's CSV, got no file {path}; {WHERE_FROM}")
    return path


def read(path: Path, space: ConfigurationSpace) -> Published:
    """Read the rows of the study's four algorithms.

    Raises:
        ValueError: a column is missing, a cell is invalid, or a configuration is outside the space
            or was evaluated twice by one algorithm.
        OSError: the file cannot be read.
    """
    columns, rows = recording.read_rows(path)
    for name in ("algorithm", *_NEEDED):
        if name not in columns:
            raise ValueError(f"{path}: expected a column {name}, got {columns}")
    points: list[Point] = []
    for algorithm in ALGORITHMS:
        steps = recording.read(path, space, algorithm, "hellaswag_acc", maximise=True)
        own = [row for row in rows if row.cells["algorithm"] == algorithm]
        points += [_point(row, algorithm, step) for row, step in zip(own, steps, strict=True)]
    return Published(path.name, points)


_NEEDED = ("hellaswag_acc", "hellaswag_acc_stderr", "mmlu_acc", "mmlu_acc_stderr", "depth", "phase")


def _point(row: recording.Row, algorithm: str, step: recording.Step) -> Point:
    ran = step.bounds is None
    scores = [_share(row, name) if ran else math.nan for name in _NEEDED[:4]]
    depth = int(row.finite("depth")) if row.cells["depth"] else None
    bounds = None if step.bounds is None else (1 - step.bounds[1], 1 - step.bounds[0])
    hellaswag, hellaswag_se, mmlu, mmlu_se = scores
    return Point(
        row=row.number,
        algorithm=algorithm,
        config=step.config,
        phase=step.phase,
        depth=depth,
        hellaswag=hellaswag,
        hellaswag_se=hellaswag_se,
        mmlu=mmlu,
        mmlu_se=mmlu_se,
        bounds=bounds,
        minutes=_minutes(row) if ran else None,
    )


_TIMES = ("time_start", "time_train_end", "time_end")


def _minutes(row: recording.Row) -> tuple[float, float] | None:
    """Return the minutes of training and of scoring, or None if a time is missing."""
    if not all(row.cells.get(name) for name in _TIMES):
        return None
    times = [_time(row, name) for name in _TIMES]
    train, score = ((after - before).total_seconds() / 60 for before, after in pairwise(times))
    return train, score


def _time(row: recording.Row, name: str) -> datetime:
    try:
        return datetime.fromisoformat(row.cells[name])
    except ValueError:
        raise ValueError(
            f"{row.where}, column {name}: expected a time such as 2025-01-17 11:39:09, got "
            f"{row.cells[name]!r}"
        ) from None


def _share(row: recording.Row, name: str) -> float:
    value = row.finite(name)
    if not 0 <= value <= 1:
        raise ValueError(
            f"{row.where}, column {name}: expected a number in [0, 1], got {row.cells[name]}"
        )
    return value
