"""The compiled table and the spaces that it covers."""

import csv
import io
import lzma
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ConfigSpace import ConfigurationSpace

from objectives.combinations import Combinations
from objectives.draws import draws
from objectives.lora_table.cells import ALPHAS, BATCHES, LEARNING_RATES, MATRICES, RANKS
from objectives.lora_table.tasks import Plan
from objectives.space import list_combinations
from objectives.trial import Config

GRID: Mapping[str, Sequence[Any]] = {
    "learning_rate": LEARNING_RATES,
    "lora_rank": RANKS,
    "lora_alpha": ALPHAS,
    "matrices": MATRICES,
    "batch": BATCHES,
}
Key = tuple[Any, ...]
Row = dict[str, str]


def relabelled(space: Mapping[str, Mapping[str, Any]], seed: int) -> dict[str, Mapping[str, Any]]:
    """Permute the axes and reverse some of them, in the same way for all optimizers."""
    rng = draws(seed)
    names = [list(space)[i] for i in rng.permutation(len(space))]
    turned = dict(zip(names, rng.random(len(names)) < 0.5, strict=True))
    return {
        name: {**space[name], "choices": list(reversed(space[name]["choices"]))}
        if turned[name] and "choices" in space[name]
        else space[name]
        for name in names
    }


def choices_of(parameter: Any) -> list[Any]:
    listed = getattr(parameter, "choices", None) or getattr(parameter, "sequence", None)
    values = listed if listed is not None else [parameter.value]
    return [value.item() if hasattr(value, "item") else value for value in values]


def expect_grid(space: ConfigurationSpace) -> None:
    """Raise ValueError unless a space has the table's axes, with some of their values."""
    if set(space) != set(GRID):
        raise ValueError(f"objective.space: expected {list(GRID)}, got {list(space)}")
    for name, levels in GRID.items():
        if hasattr(space[name], "lower"):
            raise ValueError(
                f"objective.space.{name}.type: expected ordinal, categorical or constant, got a "
                f"range; only {list(levels)} were trained"
            )
        for value in choices_of(space[name]):
            if value not in levels:
                raise ValueError(
                    f"objective.space.{name}.choices: expected some of {list(levels)}, got {value}"
                )


def key_of(config: Config) -> Key:
    return tuple(config[name] for name in GRID)


def holds(space: ConfigurationSpace, key: Key) -> bool:
    pairs = zip(GRID, key, strict=True)
    return all(value in choices_of(space[name]) for name, value in pairs)


def keys_of(plan: Plan, space: ConfigurationSpace) -> list[Key]:
    """Return the cells of a plan that a space contains, in the order of the grid.

    If they are a part of the space, the space is given the list, so that no optimizer asks for
    another configuration.

    Raises:
        ValueError: there are none.
    """
    cells = sorted(plan.cells, key=lambda cell: cell.id)
    keys = [key for cell in cells if holds(space, key := tuple(vars(cell).values())[1:])]
    if not keys:
        raise ValueError(
            f"objective.space: expected a space that contains some of the {len(cells)} "
            "configurations of the task, got none; widen it"
        )
    if len(keys) < math.prod(len(choices_of(space[name])) for name in GRID):
        listed = [dict(zip(GRID, key, strict=True)) for key in keys]
        list_combinations(space, Combinations(listed))
    return keys


def read(path: Path) -> bytes:
    try:
        return lzma.decompress(path.read_bytes())
    except (OSError, lzma.LZMAError) as error:
        raise ValueError(f"{path}: expected the compiled LoRA table, got {error}") from None


@cache
def rows_of(content: bytes) -> dict[Key, dict[str, list[Row]]]:
    """Return the three checkpoints of each configuration's trainings, by `train_seed`."""
    found: dict[Key, dict[str, list[Row]]] = {}
    for row in csv.DictReader(io.StringIO(content.decode())):
        key = (
            float(row["learning_rate"]),
            int(row["lora_rank"]),
            int(row["lora_alpha"]),
            row["matrices"],
            int(row["batch"]),
        )
        found.setdefault(key, {}).setdefault(row["train_seed"], []).append(row)
    return found


@cache
def items_of(folder: Path) -> dict[tuple[str, str, str], str]:
    """Return the packed items by cell, `train_seed` and name."""
    table = csv.DictReader(io.StringIO(read(folder / "items.csv.xz").decode()))
    return {(row["cell"], row["train_seed"], row["name"]): row["items"] for row in table}
