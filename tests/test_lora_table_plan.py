"""The plan of the LoRA table and the files that its producers share."""

import subprocess
import sys
from pathlib import Path

import pytest

from objectives.lora_table import records
from objectives.lora_table.cells import (
    CELLS,
    REFERENCE,
    best_replicates,
    first_pass,
    uniform_replicates,
)


def test_the_grid_is_a_full_factorial_of_640_cells() -> None:
    assert len({tuple(vars(cell).values())[1:] for cell in CELLS}) == len(CELLS) == 640
    assert {cell.steps for cell in CELLS} == {27, 54}
    assert REFERENCE.learning_rate == 2.9e-3


def test_every_cell_is_trained_once_first_in_a_random_order() -> None:
    order = [training.cell.id for training in first_pass()]
    assert sorted(order) == list(range(640))
    early = [training.cell.learning_rate for training in first_pass()[:100]]
    assert len(set(early)) == 10  # no level waits for another


def test_a_hundred_uniform_cells_and_the_best_of_the_others_are_trained_again() -> None:
    uniform = uniform_replicates()
    assert len({training.key for training in uniform}) == 200
    losses: dict[int, float | None] = {cell.id: 2.0 for cell in CELLS}
    taken = {training.cell.id for training in uniform}
    free = [cell.id for cell in CELLS if cell.id not in taken]
    losses[free[7]], losses[min(taken)], losses[free[0]] = 1.0, 0.5, None
    best = best_replicates(losses)
    assert [training.key for training in best[:2]] == [(free[7], 1), (free[7], 2)]
    assert len({training.cell.id for training in best}) == 50
    assert not {training.cell.id for training in best} & (taken | {free[0]})


def test_no_best_ones_before_the_first_pass_is_whole() -> None:
    with pytest.raises(ValueError, match="expected all 640 cells, got 1"):
        best_replicates({0: 1.0})


def test_a_half_written_last_line_is_forgiven_and_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "rows-0.jsonl"
    path.write_text('{"cell":1,"train_seed":0}\n{"cell":2,"tr')
    assert records.keys(tmp_path, "rows") == {(1, 0)}
    records.Appender(path).append({"cell": 3, "train_seed": 0})
    assert records.keys(tmp_path, "rows") == {(1, 0), (3, 0)}


def test_a_training_is_done_when_its_items_are_there_too(tmp_path: Path) -> None:
    for kind, cells_there in (("rows", (1, 2)), ("items", (2, 3))):
        lines = [f'{{"cell":{cell},"train_seed":0}}\n' for cell in cells_there]
        (tmp_path / f"{kind}-0.jsonl").write_text("".join(lines))
    assert records.done(tmp_path) == {(2, 0)}


def test_a_damaged_line_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "rows-0.jsonl").write_text("{}\nnonsense\n{}\n")
    with pytest.raises(ValueError, match="rows-0.jsonl line 2: expected JSON"):
        list(records.rows(tmp_path))


_HOLDER = """
import sys
from pathlib import Path
from objectives.lora_table.records import Claims, own_files
folder = Path(sys.argv[1])
claims = Claims(folder)
files = own_files(folder)
print(files[0], claims.take(5), flush=True)
sys.stdin.readline()
"""


def test_a_claim_and_the_files_are_one_process_s_until_it_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLDER, str(tmp_path)]
    with subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "0 True\n"
        claims = records.Claims(tmp_path)
        assert (claims.take(5), claims.take(6)) == (False, True)
        assert records.own_files(tmp_path)[0] == 1
        holder.kill()
        holder.wait()
    assert claims.take(5)
    assert records.own_files(tmp_path)[0] == 0


def test_a_block_is_joined_where_nothing_differs_and_opened_where_something_does(
    tmp_path: Path,
) -> None:
    def block(loss: float) -> int:
        return records.block(tmp_path, {"loss": loss}, {"started": "now"}, lambda first: None)

    assert [block(1.5), block(1.5), block(1.25), block(1.5)] == [0, 0, 1, 0]


def test_what_git_puts_in_a_file_s_place_loses_no_line(tmp_path: Path) -> None:
    path = tmp_path / "rows-0.jsonl"
    appender = records.Appender(path)
    appender.append({"cell": 1, "train_seed": 0})
    older = path.read_text()
    appender.append({"cell": 2, "train_seed": 0})
    path.unlink()
    path.write_text(older + "<<<<<<< ours\n")  # another file of the same name, with a conflict
    appender.append({"cell": 3, "train_seed": 0})
    assert records.keys(tmp_path, "rows") == {(1, 0), (2, 0), (3, 0)}
    assert path.read_text().count('"cell":1') == 1
