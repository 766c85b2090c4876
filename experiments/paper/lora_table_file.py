"""The compiled files of the LoRA table, read as data.

`evaluations.csv.xz` has a row per checkpoint, and `items.csv.xz` beside it has the losses item by
item (float16, base64). `untrained.json` holds the items of the model before training.
"""

import csv
import json
import lzma
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from experiments.paper.numbers import Source
from experiments.paper.published import Floats
from objectives.items import unpack_floats

SHARES = (1 / 9, 1 / 3, 1.0)
AXES = ("learning_rate", "lora_rank", "lora_alpha", "matrices", "batch")
_COLUMNS = (
    "cell",
    "train_seed",
    *AXES,
    "fidelity",
    "heldout_loss",
    "test_loss",
    "seconds",
    "error",
)


@dataclass
class Training:
    """One training: its configuration, the losses at its checkpoints, and its items."""

    cell: int
    seed: int
    config: dict[str, str]
    loss: dict[float, float] = field(default_factory=dict)
    test_loss: float = math.nan
    items: Floats | None = None  # (128,) nats per token, the selection set at the end

    @property
    def rate(self) -> float:
        return float(self.config["learning_rate"])

    @property
    def final(self) -> float:
        """The loss at the end; infinite if the training diverged."""
        return self.loss.get(1.0, math.inf)


@dataclass(frozen=True)
class LoraTable:
    """The trainings with seed 0, those with further seeds, and the model before training.

    Attributes:
        cpu_s: CPU seconds of all trainings with their scoring, without that of the test set.
        base, base_test: losses of the untrained model on the two sets of items.
    """

    name: str
    cells: list[Training]
    replicates: list[Training]
    base: float
    base_test: float
    cpu_s: float

    def source(self) -> Source:
        return {"results": self.name, "rows": "all"}


def read(path: Path, name: str, untrained: Path) -> LoraTable:
    """Read the compiled table; the file of its items is in the same folder.

    Raises:
        ValueError: a file or a column is missing, or a cell is invalid.
        OSError: a file cannot be read.
    """
    found: dict[tuple[int, int], Training] = {}
    cpu_s = 0.0
    for row in _rows(path, _COLUMNS):
        key = int(row["cell"]), int(row["train_seed"])
        training = found.setdefault(key, Training(*key, {axis: row[axis] for axis in AXES}))
        share = min(SHARES, key=lambda known: abs(known - float(row["fidelity"])))
        if not row["error"]:
            training.loss[share] = float(row["heldout_loss"])
        if row["test_loss"]:
            training.test_loss = float(row["test_loss"])
        cpu_s += float(row["seconds"]) if share == 1.0 else _scoring(row)
    for row in _rows(path.with_name("items.csv.xz"), ("cell", "train_seed", "name", "items")):
        known = found.get((int(row["cell"]), int(row["train_seed"])))
        if known and row["name"] == "selection 1":
            known.items = unpack_floats(row["items"])
    base = json.loads(untrained.read_text(encoding="utf-8"))
    ordered = [found[key] for key in sorted(found)]
    return LoraTable(
        name,
        [training for training in ordered if training.seed == 0],
        [training for training in ordered if training.seed != 0],
        float(unpack_floats(base["selection 1"]).mean()),
        float(unpack_floats(base["test"]).mean()),
        cpu_s,
    )


def _rows(path: Path, needed: Sequence[str]) -> Iterator[dict[str, str]]:
    try:
        with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"{path}: expected a column {missing[0]}, got none")
            yield from reader
    except lzma.LZMAError as error:
        raise ValueError(f"{path}: expected a file compressed by xz, got: {error}") from None


def _scoring(row: dict[str, str]) -> float:
    """Return the seconds that an early checkpoint's scoring took; the end counts its training."""
    return float(row["seconds"]) - float(row.get("train_seconds") or row["seconds"])
