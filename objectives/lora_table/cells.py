"""The table's plan: the grid, the trainings, and their order.

A cell is a configuration, and a training is a cell with a `train_seed`. The plan depends only on
this file and on the results of the first pass.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

LEARNING_RATES = (1e-5, 2.6e-5, 6.6e-5, 1.7e-4, 4.4e-4, 1.1e-3, 2.9e-3, 7.5e-3, 1.9e-2, 5e-2)
RANKS = (1, 4, 16, 64)
ALPHAS = (1, 4, 16, 64)
MATRICES = ("attention", "attention_mlp")
BATCHES = (2, 4)
INSTRUCTIONS = 108  # instructions of a training: 27 steps of 4, or 54 of 2
SHARES = {"1/9": 9, "1/3": 3, "1": 1}  # by checkpoint: the divisor that gives its share of steps

REPLICATE_SEEDS = (1, 2)  # in addition to 0, with which every cell is trained
N_UNIFORM, N_BEST = 100, 50
_ORDER_SEED, _UNIFORM_SEED = 2026, 2027


@dataclass(frozen=True)
class Cell:
    """A configuration; `id` counts the grid in the order of the fields, the last one fastest."""

    id: int
    learning_rate: float
    rank: int
    alpha: int
    matrices: str
    batch: int

    @property
    def steps(self) -> int:
        return INSTRUCTIONS // self.batch


@dataclass(frozen=True)
class Training:
    """One training; `part` is the reason for it: factorial, uniform or best."""

    cell: Cell
    train_seed: int
    part: str

    @property
    def key(self) -> tuple[int, int]:
        return self.cell.id, self.train_seed

    @property
    def number(self) -> int:
        """A unique number for each training."""
        return self.cell.id * (1 + len(REPLICATE_SEEDS)) + self.train_seed


CELLS = tuple(
    Cell(number, *levels)
    for number, levels in enumerate(
        itertools.product(LEARNING_RATES, RANKS, ALPHAS, MATRICES, BATCHES)
    )
)
REFERENCE = next(
    cell
    for cell in CELLS
    if (cell.learning_rate, cell.rank, cell.alpha) == (2.9e-3, 16, 16)
    and (cell.matrices, cell.batch) == ("attention", 4)
)


def first_pass() -> list[Training]:
    """Return every cell once, in an order in which every prefix is a uniform sample."""
    order = np.random.default_rng(_ORDER_SEED).permutation(len(CELLS))
    return [Training(CELLS[i], 0, "factorial") for i in order.tolist()]


def uniform_replicates() -> list[Training]:
    """Return two further trainings of each cell of a uniform sample, which was drawn beforehand."""
    chosen = np.random.default_rng(_UNIFORM_SEED).permutation(len(CELLS))[:N_UNIFORM]
    return _replicates(chosen.tolist(), "uniform")


def best_replicates(losses: Mapping[int, float | None]) -> list[Training]:
    """Return two further trainings of the best cells that are not in the uniform sample.

    Args:
        losses: final loss of each cell's first training on the selection set; None if it failed.

    Raises:
        ValueError: a cell is missing.
    """
    if len(losses) != len(CELLS):
        raise ValueError(f"losses: expected all {len(CELLS)} cells, got {len(losses)}")
    taken = {training.cell.id for training in uniform_replicates()}
    ranked = sorted(
        (math.inf if loss is None else loss, cell)
        for cell, loss in losses.items()
        if cell not in taken
    )
    return _replicates([cell for _, cell in ranked[:N_BEST]], "best")


def _replicates(cells: list[int], part: str) -> list[Training]:
    return [Training(CELLS[i], seed, part) for i in cells for seed in REPLICATE_SEEDS]
