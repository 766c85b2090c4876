"""Read the published evaluations to which the surface is fitted; errors name the row."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objectives.table import Column, Row, Table

Array = NDArray[np.float64]
COLUMNS = ("lora_rank_used", "lora_alpha_used", "log10_learning_rate", "hellaswag_acc", "mmlu_acc")
_RANGES = {
    "lora_rank_used": (1.0, math.inf),
    "lora_alpha_used": (1.0, math.inf),
    "log10_learning_rate": (-math.inf, 0.0),
    "hellaswag_acc": (0.0, 1.0),
    "mmlu_acc": (0.0, 1.0),
}


@dataclass(frozen=True)
class Evaluations:
    """The data of n evaluations that the fit needs.

    Attributes:
        rank, alpha: (n,) the integers that were used.
        log10_rate: (n,).
        accuracies: (n,) by metric.
        groups: (n,) equal for evaluations with equal rank, alpha and rate.
    """

    rank: Array
    alpha: Array
    log10_rate: Array
    accuracies: dict[str, Array]
    groups: NDArray[np.int_]


def read(path: Path) -> Evaluations:
    """Read the rows whose `state` is `evaluated`, or all rows if there is no such column.

    Equal configurations of different algorithms are permitted: the study has 35 of them. Equal
    configurations of the same algorithm are an error.

    Raises:
        ValueError: a column is missing, or a row has an impossible value; the message names it.
        OSError: the file cannot be read.
    """
    table = Table(path, {}, [Column(name) for name in COLUMNS])
    numbers: list[list[float]] = []
    seen: dict[tuple[str, ...], int] = {}
    for row in table.rows:
        if row.cells.get("state", "evaluated") != "evaluated":
            continue
        numbers.append([_number(row, name) for name in COLUMNS])
        place = tuple(text for name, text in row.cells.items() if name in _IDENTITY)
        if "algorithm" in row.cells and place in seen:
            raise ValueError(f"{row.where}: expected a new evaluation, got row {seen[place]} again")
        seen[place] = row.number
    if len(numbers) < 20:
        raise ValueError(f"{path}: expected at least 20 evaluated rows, got {len(numbers)}")
    return _evaluations(numbers)


_IDENTITY = {
    "model",
    "algorithm",
    "lora_rank",
    "lora_alpha",
    "lora_dropout",
    "log10_learning_rate",
    "log10_weight_decay",
    *("lora_rank_used", "lora_alpha_used"),
}


def _evaluations(numbers: Sequence[Sequence[float]]) -> Evaluations:
    rank, alpha, rate, hellaswag, mmlu = np.array(numbers).T
    keys = np.stack([rank, alpha, rate], axis=1)
    _, groups = np.unique(keys, axis=0, return_inverse=True)
    accuracies = {"hellaswag_acc": hellaswag, "mmlu_acc": mmlu}
    return Evaluations(rank, alpha, rate, accuracies, groups.reshape(-1))


def _number(row: Row, name: str) -> float:
    lower, upper = _RANGES[name]
    value = row.number_in(Column(name))
    if not lower <= value <= upper:
        raise ValueError(
            f"{row.where}, column {name}: expected a number in [{lower:g}, {upper:g}], "
            f"got {row.cells[name]}"
        )
    return value
