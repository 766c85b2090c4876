"""The tasks, one table each: the kind of data, the amounts, and the plan of the trainings.

`alpaca` is the first table: all 640 cells of the grid, trained on Alpaca's instructions.
`hellaswag` is a smaller one: 80 cells of the same grid, trained three times as long to continue
HellaSwag's contexts. A plan depends only on this file and on the results of its first pass.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from objectives.lora_table.cells import (
    CELLS,
    DEFAULT,
    REPLICATE_SEEDS,
    SHARES,
    Cell,
    Training,
)

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Plan:
    """The trainings of a table, in their order.

    Attributes:
        cells: the cells in the order in which they are trained once, with `train_seed` 0.
        uniform: cells of a uniform sample, drawn beforehand, that are trained with further seeds.
        n_best: the number of other cells, the best ones, that are trained with further seeds.
        seeds: the further seeds.
    """

    cells: tuple[Cell, ...]
    uniform: tuple[Cell, ...]
    n_best: int
    seeds: tuple[int, ...]

    def first_pass(self) -> list[Training]:
        """Return every cell once."""
        return [Training(cell, 0, "factorial") for cell in self.cells]

    def uniform_replicates(self) -> list[Training]:
        """Return the further trainings of the uniform sample."""
        return self._replicates(self.uniform, "uniform")

    def best_replicates(self, losses: Mapping[int, float | None]) -> list[Training]:
        """Return the further trainings of the best cells that are not in the uniform sample.

        Args:
            losses: final loss of each cell's first training on the selection set; None if it
                failed.

        Raises:
            ValueError: a cell is missing.
        """
        if losses.keys() != {cell.id for cell in self.cells}:
            raise ValueError(f"losses: expected all {len(self.cells)} cells, got {len(losses)}")
        taken = {cell.id for cell in self.uniform}
        ranked = sorted(
            (math.inf if loss is None else loss, cell)
            for cell, loss in losses.items()
            if cell not in taken
        )
        return self._replicates([CELLS[cell] for _, cell in ranked[: self.n_best]], "best")

    def _replicates(self, cells: tuple[Cell, ...] | list[Cell], part: str) -> list[Training]:
        return [Training(cell, seed, part) for cell in cells for seed in self.seeds]


@dataclass(frozen=True)
class Task:
    """A kind of data, and how a cell is trained and scored on it.

    Attributes:
        name: the value of `objective.task` and of the producer's `task=`.
        trained_on: the data, in words.
        plan: the trainings.
        items: the number of items of a training; steps differ only in the number of items each.
        selection: by checkpoint, the number of held-out items; each set is the beginning of the
            next.
        test: the number of other held-out items, scored at the end.
        questions: the number of multiple-choice questions.
        questioned: the parts of the plan whose trainings answer the questions at the end.
        results: the name of the producer's folder below `results/`.
        place: the folder of the compiled table and of `producer.commit`.
        tag: the tag of the commit in `producer.commit`, from which the table is produced.
    """

    name: str
    trained_on: str
    plan: Plan
    items: int
    selection: Mapping[str, int]
    test: int
    questions: int
    questioned: frozenset[str]
    results: str
    place: Path
    tag: str

    def steps(self, cell: Cell, share: str = "1") -> int:
        """Return the number of steps of a cell's training up to a checkpoint."""
        return self.items // cell.batch // SHARES[share]


def _shuffled(seed: int) -> tuple[Cell, ...]:
    """Return all cells in a random order, of which every prefix is a uniform sample."""
    order = np.random.default_rng(seed).permutation(len(CELLS))
    return tuple(CELLS[i] for i in order.tolist())


def _sampled(seed: int, n: int, early_rates: tuple[float, ...]) -> tuple[Cell, ...]:
    """Return the default cell and n - 1 others, drawn uniformly, in a random order.

    The first cell of each of some rates precedes all others: these trainings show early whether
    the task separates good rates from bad ones.
    """
    others = [cell for cell in _shuffled(seed) if cell != DEFAULT][: n - 1]
    order = np.random.default_rng(seed + 1).permutation(n).tolist()
    drawn = [[*others, DEFAULT][i] for i in order]
    early = [next(c for c in drawn if c.learning_rate == rate) for rate in early_rates]
    return (*early, *(cell for cell in drawn if cell not in early))


ALPACA = Task(
    name="alpaca",
    trained_on="Alpaca",
    plan=Plan(_shuffled(2026), _shuffled(2027)[:100], 50, REPLICATE_SEEDS),
    items=108,  # 27 steps of 4, or 54 of 2
    selection={"1/9": 24, "1/3": 48, "1": 128},
    test=128,
    questions=64,
    questioned=frozenset({"uniform", "best"}),
    results="lora_table",
    place=_HERE,
    tag="lora-table-v2",
)
HELLASWAG = Task(
    name="hellaswag",
    trained_on="HellaSwag's contexts and endings",
    plan=Plan(_sampled(2028, 80, (2.9e-3, 5e-2)), (), 10, (1,)),
    items=324,  # 81 steps of 4, or 162 of 2
    selection={"1/9": 24, "1/3": 48, "1": 128},
    test=128,
    questions=128,  # those of the test set
    questioned=frozenset({"factorial", "best"}),
    results="lora_table_hellaswag",
    place=_HERE / "hellaswag",
    tag="lora-table-hellaswag-v1",
)
TASKS = {task.name: task for task in (ALPACA, HELLASWAG)}
"""All tasks, in the order in which their tables are produced."""
