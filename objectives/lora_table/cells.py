"""The grid of the tables, and what a training is.

A cell is a configuration, and a training is a cell with a `train_seed`. All tables use this grid;
`tasks.py` says which of its cells each table trains.
"""

import itertools
from dataclasses import dataclass

LEARNING_RATES = (1e-5, 2.6e-5, 6.6e-5, 1.7e-4, 4.4e-4, 1.1e-3, 2.9e-3, 7.5e-3, 1.9e-2, 5e-2)
RANKS = (1, 4, 16, 64)
ALPHAS = (1, 4, 16, 64)
MATRICES = ("attention", "attention_mlp")
BATCHES = (2, 4)
SHARES = {"1/9": 9, "1/3": 3, "1": 1}  # by checkpoint: the divisor that gives its share of steps
REPLICATE_SEEDS = (1, 2)  # in addition to 0, with which every cell is trained


@dataclass(frozen=True)
class Cell:
    """A configuration; `id` counts the grid in the order of the fields, the last one fastest."""

    id: int
    learning_rate: float
    rank: int
    alpha: int
    matrices: str
    batch: int


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


def cell_of(learning_rate: float, rank: int, alpha: int, matrices: str, batch: int) -> Cell:
    """Return the cell with these levels."""
    levels = (learning_rate, rank, alpha, matrices, batch)
    return next(cell for cell in CELLS if tuple(vars(cell).values())[1:] == levels)


REFERENCE = cell_of(2.9e-3, 16, 16, "attention", 4)
DEFAULT = cell_of(1.7e-4, 16, 16, "attention", 4)
