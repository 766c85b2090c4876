"""The plans of the LoRA tables and the files that their producers share."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from objectives.lora_table import launch, records
from objectives.lora_table.cells import CELLS, DEFAULT, REFERENCE
from objectives.lora_table.in_turn import command
from objectives.lora_table.progress import is_complete, planned
from objectives.lora_table.tasks import ALPACA, HELLASWAG, TASKS, Plan
from processes import ROOT

PLAN = ALPACA.plan


def test_the_grid_is_a_full_factorial_of_640_cells() -> None:
    assert len({tuple(vars(cell).values())[1:] for cell in CELLS}) == len(CELLS) == 640
    assert {ALPACA.steps(cell) for cell in CELLS} == {27, 54}
    assert REFERENCE.learning_rate == 2.9e-3


def test_every_cell_is_trained_once_first_in_a_random_order() -> None:
    order = [training.cell.id for training in PLAN.first_pass()]
    assert sorted(order) == list(range(640))
    early = [training.cell.learning_rate for training in PLAN.first_pass()[:100]]
    assert len(set(early)) == 10  # no level waits for another


def test_the_first_table_s_plan_is_that_of_its_tagged_producer() -> None:
    keys = [t.key for t in [*PLAN.first_pass(), *PLAN.uniform_replicates()]]
    digest = hashlib.sha256(json.dumps(keys).encode()).hexdigest()
    assert digest.startswith("6b023216cd8356f4")  # computed by the code at lora-table-v2
    assert [ALPACA.steps(DEFAULT, share) for share in ("1/9", "1/3", "1")] == [3, 9, 27]


def test_the_second_table_trains_80_cells_three_times_as_long() -> None:
    cells = HELLASWAG.plan.cells
    assert len(set(cells)) == 80 and DEFAULT in cells
    assert all(len({vars(cell)[name] for cell in cells}) > 1 for name in vars(DEFAULT))
    assert {HELLASWAG.steps(cell, "1/9") for cell in cells} == {9, 18}
    assert {HELLASWAG.steps(cell) for cell in cells} == {81, 162}
    assert [cell.learning_rate for cell in cells[:2]] == [2.9e-3, 5e-2]
    losses: dict[int, float | None] = {cell.id: cell.id / 100 for cell in cells}
    best = HELLASWAG.plan.best_replicates(losses)
    ten = sorted(cell.id for cell in cells)[:10]
    assert [training.key for training in best] == [(cell, 1) for cell in ten]


def test_a_hundred_uniform_cells_and_the_best_of_the_others_are_trained_again() -> None:
    uniform = PLAN.uniform_replicates()
    assert len({training.key for training in uniform}) == 200
    losses: dict[int, float | None] = {cell.id: 2.0 for cell in CELLS}
    taken = {training.cell.id for training in uniform}
    free = [cell.id for cell in CELLS if cell.id not in taken]
    losses[free[7]], losses[min(taken)], losses[free[0]] = 1.0, 0.5, None
    best = PLAN.best_replicates(losses)
    assert [training.key for training in best[:2]] == [(free[7], 1), (free[7], 2)]
    assert len({training.cell.id for training in best}) == 50
    assert not {training.cell.id for training in best} & (taken | {free[0]})


def test_no_best_ones_before_the_first_pass_is_whole() -> None:
    with pytest.raises(ValueError, match="expected all 640 cells, got 1"):
        PLAN.best_replicates({0: 1.0})


def _recorded(folder: Path, cells: list[int], seed: int = 0) -> None:
    for kind in ("rows", "items"):
        with (folder / f"{kind}-0.jsonl").open("a") as file:
            for cell in cells:
                checkpoints = [{"heldout_loss": cell / 10}]
                row = {"cell": cell, "train_seed": seed, "error": None, "checkpoints": checkpoints}
                file.write(json.dumps(row) + "\n")


def test_a_plan_is_complete_after_its_best_cells_too(tmp_path: Path) -> None:
    plan = Plan((CELLS[7], CELLS[3]), (), 1, (1,))
    _recorded(tmp_path, [7])
    assert [t.key for t in planned(plan, tmp_path)[0]] == [(7, 0), (3, 0)]
    _recorded(tmp_path, [3])
    trainings, whole = planned(plan, tmp_path)
    assert [t.key for t in trainings] == [(7, 0), (3, 0), (3, 1)] and whole
    assert not is_complete(plan, tmp_path)
    _recorded(tmp_path, [3], seed=1)
    assert is_complete(plan, tmp_path)


def test_the_committed_rows_belong_to_their_plans() -> None:
    for task in TASKS.values():
        known = {training.key[0] for training in task.plan.first_pass()}
        rows = records.rows(ROOT / "results" / task.results, damaged=True)
        assert {row["cell"] for row in rows} <= known


_STAND_IN = """
import sys, time
print("here", flush=True)
time.sleep(60)
"""


def test_a_process_and_the_producer_that_it_runs_count_once(tmp_path: Path) -> None:
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_STAND_IN!r}, *{{}}])"
    inner = [launch.PRODUCE, *command(HELLASWAG, tmp_path / HELLASWAG.results)[3:]]
    program = outer.format(inner)
    mine = [sys.executable, "-c", program, launch.IN_TURN, f"results={tmp_path}"]
    with subprocess.Popen(mine, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == "here\n"
        found = launch.running(tmp_path)
        assert len(found) == 2 and launch.n_working(found) == 1
        assert launch.running(tmp_path / "other") == []
        launch.stop(tmp_path)
        psutil.wait_procs(found, timeout=10)
    assert launch.running(tmp_path) == []


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
