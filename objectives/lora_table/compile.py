"""Compile a producer's rows into the table that `objective=lora_table` reads.

    python -m objectives.lora_table.compile [task=alpaca] [results/lora_table]

It writes two files into the task's folder, which is this one for `alpaca` and `hellaswag/` for
`hellaswag`:

    evaluations.csv.xz   one row per checkpoint
    items.csv.xz         the losses by item: cell, train_seed, name, float16 or bits in base64

The held-out loss of a checkpoint is the untrained model's loss on all items of the selection set,
plus the mean change of the loss on the checkpoint's own items. The losses of different checkpoints
are therefore on one scale, although the early ones are measured on fewer items. At the end of a
training, the held-out loss is the plain mean. `seconds` is the cost of an evaluation at the
fidelity: the training so far and one scoring. `train_seconds` is the training's part. Both are CPU
seconds.
"""

import csv
import io
import lzma
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from objectives.items import unpack_floats
from objectives.lora_table.cells import CELLS, SHARES
from objectives.lora_table.records import Row, rows
from objectives.lora_table.tasks import ALPACA, TASKS
from objectives.lora_table.untrained_items import NAME, Untrained

EVALUATIONS, ITEMS = "evaluations.csv.xz", "items.csv.xz"
COLUMNS = (
    "cell", "train_seed", "learning_rate", "lora_rank", "lora_alpha", "matrices", "batch",
    "fidelity", "heldout_loss", "test_loss", "seconds", "train_seconds", "hellaswag_acc",
    "hellaswag_acc_norm", "hellaswag_p_right", "part", "block", "peak_mib", "error",
)  # fmt: skip
ITEM_COLUMNS = ("cell", "train_seed", "name", "items")


def evaluations(found: list[Row], items: dict[tuple[int, int], Row], base: Untrained) -> list[Row]:
    """Return one row per checkpoint, in the order of cells, seeds and fidelities."""
    made: list[Row] = []
    for row in sorted(found, key=lambda row: (row["cell"], row["train_seed"])):
        made += _checkpoints(row, items[row["cell"], row["train_seed"]], base)
    return made


def _checkpoints(row: Row, items: Row, base: Untrained) -> Iterator[Row]:
    cell = CELLS[row["cell"]]
    shared = {
        "cell": cell.id,
        "train_seed": row["train_seed"],
        "learning_rate": cell.learning_rate,
        "lora_rank": cell.rank,
        "lora_alpha": cell.alpha,
        "matrices": cell.matrices,
        "batch": cell.batch,
        "part": row["part"],
        "block": row["block"],
        "peak_mib": row["peak_mib"],
    }
    measured = {checkpoint["fidelity"]: checkpoint for checkpoint in row["checkpoints"]}
    trained_s = 0.0
    for share, parts in SHARES.items():
        made = {**shared, "fidelity": 1 / parts}
        checkpoint = measured.get(share)
        if checkpoint is None or not _is_finite(checkpoint["heldout_loss"]):
            seconds = trained_s + row.get("error_cpu_s", 0.0)
            yield {**made, "seconds": round(seconds, 2), "train_seconds": round(seconds, 2),
                   "error": row["error"]}  # fmt: skip
            continue
        trained_s += checkpoint["train_cpu_s"]
        made["heldout_loss"] = base.loss(unpack_floats(items[f"selection {share}"]))
        made["train_seconds"] = round(trained_s, 2)
        made["seconds"] = round(trained_s + checkpoint["score_cpu_s"], 2)
        if share == "1":
            made["heldout_loss"] = checkpoint["heldout_loss"]
            if _is_finite(row["test_loss"]):
                made["test_loss"] = row["test_loss"]
            names = ("hellaswag_acc", "hellaswag_acc_norm", "hellaswag_p_right")
            made |= {name: row[name] for name in names if name in row}
        yield made


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def item_rows(items: dict[tuple[int, int], Row]) -> Iterator[Row]:
    """Yield one row for each packed array."""
    for (cell, train_seed), row in sorted(items.items()):
        for name, packed in row.items():
            if name not in ("cell", "train_seed"):
                yield {"cell": cell, "train_seed": train_seed, "name": name, "items": packed}


def compressed(columns: tuple[str, ...], table: Iterator[Row] | list[Row]) -> bytes:
    """Return a compressed CSV file; equal rows give equal bytes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return lzma.compress(text.getvalue().encode(), preset=9)


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write files by name; if one of them cannot be written, none is changed."""
    new = {name: folder / f".new-{os.getpid()}-{name}" for name in files}
    try:
        for name, content in files.items():
            new[name].write_bytes(content)
        for name, path in new.items():
            os.replace(path, folder / name)
    finally:
        for path in new.values():
            path.unlink(missing_ok=True)


def compile_table(folder: Path, out: Path) -> int:
    """Write the table of a producer's folder; return the number of trainings.

    Raises:
        ValueError: the folder has no trainings, or it lacks the scores of the untrained model.
    """
    found = {(row["cell"], row["train_seed"]): row for row in rows(folder)}
    if not found:
        raise ValueError(f"{folder}: expected rows of the LoRA table's producer, got none")
    items = {(row["cell"], row["train_seed"]): row for row in rows(folder, "items")}
    try:
        base = Untrained.read(folder / NAME)
    except FileNotFoundError:
        raise ValueError(
            f"{folder}: expected {NAME}, got none; run `python -m objectives.lora_table.untrained`"
        ) from None
    items = {key: row for key, row in items.items() if key in found}
    files = {
        EVALUATIONS: compressed(COLUMNS, evaluations(list(found.values()), items, base)),
        ITEMS: compressed(ITEM_COLUMNS, item_rows(items)),
    }
    write(out, files)
    return len(found)


def main(arguments: list[str]) -> None:
    named = [a.removeprefix("task=") for a in arguments if a.startswith("task=")]
    folders = [a for a in arguments if "=" not in a]
    task = TASKS.get(named[0] if named else ALPACA.name)
    if task is None or len(named) > 1 or len(folders) > 1 or len(named + folders) < len(arguments):
        sys.exit(
            f"compile: expected [task={'|'.join(TASKS)}] and at most a folder, got "
            f"{' '.join(arguments)}"
        )
    folder = Path(folders[0] if folders else f"results/{task.results}").expanduser()
    try:
        n_trainings = compile_table(folder, task.place)
    except ValueError as error:
        sys.exit(str(error))
    files = [task.place / name for name in (EVALUATIONS, ITEMS)]
    sizes = " and ".join(f"{file.stat().st_size} bytes" for file in files)
    print(f"{n_trainings} trainings in {files[0]} and {ITEMS}: {sizes}")


if __name__ == "__main__":
    main(sys.argv[1:])
