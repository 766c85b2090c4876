"""The paper's statements about the LoRA table follow from its rows, worked out on a small one."""

import base64
import csv
import json
import lzma
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.paper import lora_table, lora_table_figures, pictures
from experiments.paper.lora_table_file import LoraTable, read

# By cell: rate, loss at 1/9, 1/3 and the end, loss on the test set. Cell 3 diverged after 1/9.
CELLS: list[tuple[str, list[float], float]] = [
    ("1e-05", [2.00, 1.99, 1.98], 1.90),
    ("0.001", [1.95, 1.90, 1.80], 1.75),
    ("0.001", [1.94, 1.91, 1.805], 1.76),
    ("0.05", [9.0], math.nan),
    ("0.0001", [1.97, 1.93, 1.85], 1.80),
    ("0.0001", [1.98, 1.94, 1.86], 1.81),
]
BASE, BASE_TEST = 2.0, 1.9


def _packed(values: list[float]) -> str:
    return base64.b64encode(np.array(values, dtype="<f2").tobytes()).decode()


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with lzma.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows, items = [], []
    trainings = [(cell, 0, *known) for cell, known in enumerate(CELLS)]
    # Cell 1 was trained with two further seeds: 1.80, 1.82, 1.84 have a deviation of 0.02.
    trainings += [(1, 1, "0.001", [1.9, 1.9, 1.82], 1.7), (1, 2, "0.001", [1.9, 1.9, 1.84], 1.7)]
    for cell, seed, rate, losses, test_loss in trainings:
        for i, share in enumerate(("0.1111111111111111", "0.3333333333333333", "1.0")):
            row: dict[str, Any] = {
                "cell": cell, "train_seed": seed, "learning_rate": rate, "lora_rank": 4,
                "lora_alpha": 16, "matrices": "attention", "batch": 2, "fidelity": share,
                "heldout_loss": losses[i] if i < len(losses) else "",
                "test_loss": test_loss if i == 2 and len(losses) == 3 else "",
                "seconds": 12 * 3**i, "train_seconds": 6 * 3**i,
                "error": "" if i < len(losses) else "the loss is not finite",
            }  # fmt: skip
            rows.append(row)
        if len(losses) == 3:
            last = [losses[-1] - 0.5, losses[-1] + 0.5 + 0.5 * cell]
            items.append({"cell": cell, "train_seed": seed, "name": "selection 1",
                          "items": _packed(last)})  # fmt: skip
    _write(tmp_path / "evaluations.csv.xz", rows)
    _write(tmp_path / "items.csv.xz", items)
    untrained = {"selection 1": _packed([BASE] * 2), "test": _packed([BASE_TEST] * 2)}
    (tmp_path / "untrained.json").write_text(json.dumps(untrained))
    return tmp_path


def _read(folder: Path) -> LoraTable:
    return read(folder / "evaluations.csv.xz", "here", folder / "untrained.json")


def test_the_facts_count_cells_ties_and_what_random_search_finds(folder: Path) -> None:
    shown = {name: cell.shown for name, cell in lora_table.facts(_read(folder)).entries.items()}
    assert shown["TableCells"] == "6" and shown["TableTrainings"] == "8"
    assert shown["TableBest"] == "1.800" and shown["TableBestTest"] == "1.750"
    assert shown["TableTies"] == "2"  # 1.800 and 1.805
    assert shown["TableRandomTwenty"] == f"{100 * (1 - (4 / 6) ** 20):.0f}"
    assert shown["TableDiverged"] == "1" and shown["TableWorse"] == "17"
    assert shown["TableSeedSd"] == "0.0200"


def test_cpu_hours_count_each_training_once_and_each_scoring(folder: Path) -> None:
    # A training of 54 s and scorings of 6, 18 and 54 s: 12 / 3 - 2 and so on.
    assert _read(folder).cpu_s == pytest.approx(8 * (6 + 18 + 108))


def test_early_losses_are_held_against_final_ones(folder: Path) -> None:
    table = lora_table.rungs(_read(folder))
    (first, cells), (second, later) = table.rows
    assert (first, second) == ("1/9", "1/3")
    # Five cells have all three losses; one pair is exchanged after 1/9, none after 1/3.
    assert cells[0].value == pytest.approx(0.9) and later[0].value == pytest.approx(1.0)
    assert cells[2].shown == "100"


def test_the_best_cells_have_paired_errors(folder: Path) -> None:
    rows = lora_table.best(_read(folder)).rows
    assert [cells[4].shown for _, cells in rows][:3] == ["1.800", "1.805", "1.850"]
    assert rows[0][1][6].shown == "--"
    assert rows[1][1][6].value == pytest.approx(0.25, abs=0.01)  # gaps of 0 and 0.5


def test_the_landscape_shows_the_lowest_loss_of_a_pair(folder: Path) -> None:
    rates, ranks, lowest = lora_table.heat(_read(folder))
    assert ranks == [4] and rates == [1e-5, 1e-4, 1e-3, 5e-2]
    assert lowest[0, :3].tolist() == [1.98, 1.85, 1.8] and np.isinf(lowest[0, 3])


def test_the_figures_can_be_drawn(folder: Path, tmp_path: Path) -> None:
    table = _read(folder)
    with pictures.style():
        pictures.save(lora_table_figures.landscape(table), tmp_path / "a.png")
        pictures.save(lora_table_figures.bias(table), tmp_path / "b.png")
        pictures.save(lora_table_figures.learning(table), tmp_path / "c.png")


def test_a_file_that_is_no_table_is_named_in_one_line(folder: Path) -> None:
    (folder / "evaluations.csv.xz").write_text("cell\n1\n")
    with pytest.raises(ValueError, match="expected a file compressed by xz"):
        _read(folder)
    _write(folder / "evaluations.csv.xz", [{"cell": 1}])
    with pytest.raises(ValueError, match="expected a column train_seed, got none"):
        _read(folder)
