"""The published study's evaluations, from its CSV; every mistake names row and column."""

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
N_HELLASWAG = 10_042  # items of the validation set, which every accuracy is a share of
WHERE_FROM = (
    "the study's files are public (github.com/Kiwy3/BO_PBO_HPO_LLM, MIT) and "
    "objectives/lora_published/convert.py turns them into the CSV"
)


@dataclass(frozen=True, slots=True)
class Point:
    """One row of the CSV.

    Attributes:
        row: its number, 1 for the first below the header.
        config: as it was run.
        phase: of BO-GP, `sampling` or `optimization`.
        depth: in the tree; None for an algorithm that has no tree.
        hellaswag, mmlu: accuracies, NaN where the row was only approximated; and their standard
            errors.
        bounds: LCB and UCB of the accuracy, where the row was only approximated.
        minutes: of training and of scoring, where the row says when they began and ended.
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
        """alpha / rank."""
        return float(self.config["lora_alpha"]) / float(self.config["lora_rank"])

    @property
    def log10_rate(self) -> float:
        """log10 of the learning rate; the CSV's own digits."""
        return round(math.log10(float(self.config["learning_rate"])), 12)


@dataclass(frozen=True)
class Published:
    """All rows of the CSV."""

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
        """Return where a number comes from that these rows decide."""
        return {"csv": self.name, "rows": ranges(point.row for point in points), **more}


def distinct(points: Iterable[Point]) -> list[list[Point]]:
    """Return the rows by configuration, in the order in which each came first."""
    found: dict[tuple[Any, ...], list[Point]] = {}
    for point in points:
        found.setdefault(tuple(point.config.values()), []).append(point)
    return list(found.values())


def incumbent(points: Sequence[Point]) -> Point:
    """Return the first of the best HellaSwag accuracy."""
    return max(points, key=lambda point: point.hellaswag)


def column(points: Iterable[Point], name: str) -> Floats:
    """Return an attribute, or else a parameter, of n rows, (n,); logarithms of log parameters."""
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
    """Return row numbers as `1-50, 53`."""
    runs: list[list[int]] = []
    for row in sorted(set(rows)):
        if runs and row == runs[-1][1] + 1:
            runs[-1][1] = row
        else:
            runs.append([row, row])
    return ", ".join(f"{a}-{b}" if a < b else str(a) for a, b in runs)


def find(data: str | None) -> Path:
    """Return the CSV's path, given it or the data folder that it lies in.

    Raises:
        ValueError: the file does not exist.
    """
    if data is None:
        raise ValueError(
            "TUNEOFF_DATA: expected the folder that holds lora_hpo_evaluations/llama_3_2_1b.csv, "
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
        ValueError: a column is missing, a cell holds what cannot be, a configuration is outside
            the space, or one algorithm evaluated it twice.
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
    """Return the minutes of training and of scoring; None where a time is not given."""
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
