"""The table of LoRA fine-tunings: compiled from a producer's rows, and looked up."""

import base64
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from objectives.lora_table import cells
from objectives.lora_table.compile import compile_table
from objectives.lora_table.lookup import choices_of
from objectives.lora_table.objective import LoraTable
from objectives.lora_table.tasks import HELLASWAG
from objectives.space import UnitCube
from objectives.trial import Config, Trial
from optimizers.goal_targets import goal_targets
from processes import ROOT
from small_disk import small_disk

YAML = OmegaConf.load(ROOT / "conf/objective/lora_table.yaml")
CHOSEN = [cells.DEFAULT, cells.cell_of(2.9e-3, 1, 1, "attention_mlp", 4)]  # of the second plan
N_ITEMS = {"1/9": 24, "1/3": 48, "1": 128}
BEST: Config = {
    "learning_rate": 2.9e-3,
    "lora_rank": 16,
    "lora_alpha": 16,
    "matrices": "attention",
    "batch": 4,
}
UNTRAINED = 1.5 + np.arange(128) / 128  # the first 24 items are easier


def _packed(values: Any) -> str:
    return base64.b64encode(np.asarray(values).astype("<f2").tobytes()).decode()


def _made(cell: cells.Cell, seed: int, change: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the row and the items of a training that changes every item's loss equally."""
    changes = {"1/9": change / 3, "1/3": change / 2, "1": change}
    checkpoints = [
        {
            "fidelity": share,
            "heldout_loss": float((UNTRAINED[:n] + changes[share]).mean()),
            "train_cpu_s": 10.0,
            "score_cpu_s": 3.0,
        }
        for share, n in N_ITEMS.items()
    ]
    row = {
        "cell": cell.id,
        "train_seed": seed,
        "part": "factorial" if seed == 0 else "uniform",
        "block": 0,
        "peak_mib": 2000,
        "checkpoints": checkpoints,
        "test_loss": 1.9 + change,
        "error": None,
    }
    items = {f"selection {s}": _packed(UNTRAINED[:n] + changes[s]) for s, n in N_ITEMS.items()}
    return row, {"cell": cell.id, "train_seed": seed, **items}


def _change(cell: cells.Cell, seed: int) -> float:
    """Return a landscape with its best at `BEST`."""
    distance = abs(np.log10(cell.learning_rate / 2.9e-3)) + abs(np.log(cell.rank / 16))
    distance += abs(np.log(cell.alpha / 16)) + (cell.matrices != "attention") + (cell.batch != 4)
    return float(-0.25 + 0.02 * distance + 0.001 * seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table that lacks the cells of the highest rate, and one of whose trainings diverged."""
    place = tmp_path_factory.mktemp("table")
    lines: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for cell in cells.CELLS:
        if cell.learning_rate < 5e-2:
            twice = cell.rank == 1 and cell.alpha == 1
            lines += [_made(cell, seed, _change(cell, seed)) for seed in range(1 + 2 * twice)]
    diverged = next(row for row, _ in lines if _config(cells.CELLS[row["cell"]]) == _diverging())
    diverged["checkpoints"][1] = {**diverged["checkpoints"][1], "heldout_loss": "nan"}
    del diverged["checkpoints"][2]
    diverged |= {"error": "held-out loss at 1/3 of the steps is nan", "error_cpu_s": 1.5}
    for name, column in (("rows-0", 0), ("items-0", 1)):
        text = "\n".join(json.dumps(line[column]) for line in lines)
        (place / f"{name}.jsonl").write_text(text + '\n{"half')
    (place / "untrained.json").write_text(json.dumps({"selection 1": _packed(UNTRAINED)}))
    compile_table(place, place)
    return place


def _config(cell: cells.Cell) -> Config:
    return {
        "learning_rate": cell.learning_rate,
        "lora_rank": cell.rank,
        "lora_alpha": cell.alpha,
        "matrices": cell.matrices,
        "batch": cell.batch,
    }


def _diverging() -> Config:
    return {**BEST, "learning_rate": 1.9e-2, "lora_alpha": 64}


def _table(place: Path, **changes: Any) -> LoraTable:
    settings = OmegaConf.to_container(YAML)
    assert isinstance(settings, dict)
    named = {str(name): value for name, value in settings.items() if name != "_target_"}
    return LoraTable(**{**named, "folder": str(place), **changes})


def test_a_look_up_gives_loss_items_and_what_it_cost(folder: Path) -> None:
    evaluation = _table(folder).evaluate(Trial(0, BEST))
    assert evaluation.value == pytest.approx(UNTRAINED.mean() - 0.25)
    assert evaluation.cost == 33.0  # three times 10 s of training, and one scoring of 3 s
    # Rank 16 on q, k, v and projection of 30 blocks: 16 x 115,200.
    assert evaluation.metrics["trainable_parameters"] == 1_843_200
    packed = np.frombuffer(base64.b64decode(evaluation.items["heldout_loss"]), dtype="<f2")
    assert packed.mean(dtype=float) == pytest.approx(evaluation.value, abs=1e-3)


def test_fidelities_are_on_one_scale_and_a_resumed_trial_pays_the_difference(folder: Path) -> None:
    table = _table(folder)
    ninth = table.evaluate(Trial(0, BEST, 1 / 9))
    # Changed by a third of 0.25, from the untrained model's loss on all items.
    assert ninth.value == pytest.approx(UNTRAINED.mean() - 0.25 / 3, abs=1e-3)
    assert ninth.cost == 13.0
    assert table.evaluate(Trial(1, BEST, 1 / 3, resumes=0)).cost == 13.0
    assert table.evaluate(Trial(1, BEST, 1 / 3)).cost == 23.0
    with pytest.raises(ValueError, match="fidelity: expected one of 0.1111, 0.3333, 1, got 0.5"):
        table.evaluate(Trial(0, BEST, 0.5))


def test_the_optimum_is_known_and_the_test_loss_is_kept_apart(folder: Path) -> None:
    table = _table(folder)
    assert list(table.minimisers) == [BEST]
    assert table.optimum == pytest.approx(UNTRAINED.mean() - 0.25)
    assert table.test(Trial(0, BEST)) == {"test_loss": pytest.approx(1.65)}
    assert "test_loss" not in table.evaluate(Trial(0, BEST)).metrics


def test_a_training_that_diverged_is_a_failed_evaluation_from_there_on(folder: Path) -> None:
    table = _table(folder)
    early = table.evaluate(Trial(0, _diverging(), 1 / 9))
    late = table.evaluate(Trial(0, _diverging()))
    assert early.error is None and early.value is not None
    assert late.value is None and late.error == "held-out loss at 1/3 of the steps is nan"
    assert late.cost == 11.5  # the training of one checkpoint, and the time until the failure
    assert table.test(Trial(0, _diverging())) == {}


def test_what_was_not_trained_yet_is_refused_in_one_line(folder: Path) -> None:
    table = _table(folder)
    with pytest.raises(RuntimeError, match="does not hold it yet") as raised:
        table.evaluate(Trial(0, {**BEST, "learning_rate": 5e-2}))
    assert "\n" not in str(raised.value)
    assert "so far 576 of 640 configurations" in (table.notice() or "")


def test_replicates_are_drawn_on_replicated_configurations_only(folder: Path) -> None:
    with pytest.raises(ValueError, match="got 36 of 640; narrow objective.space"):
        _table(folder, noise="replicates")
    space: Any = OmegaConf.to_container(YAML.space)
    space["learning_rate"]["choices"].remove(5e-2)
    for name in ("lora_rank", "lora_alpha"):
        space[name] = {"type": "constant", "value": 1}
    noisy = _table(folder, noise="replicates", space=space)
    config = {**BEST, "lora_rank": 1, "lora_alpha": 1}
    values = [noisy.evaluate(Trial(i, config)).value for i in range(30)]
    assert len(set(values)) == 3
    assert values == [noisy.evaluate(Trial(i, config)).value for i in range(30)]
    assert noisy.noise_sd > 0


def test_relabelling_moves_the_axes_and_no_value(folder: Path) -> None:
    plain, tables = _table(folder), [_table(folder, relabel=seed) for seed in range(12)]
    trial = Trial(0, {**BEST, "lora_alpha": 4})
    for table in tables:
        assert table.evaluate(trial).value == plain.evaluate(trial).value
    assert len({tuple(UnitCube(table.space).names) for table in tables}) > 6
    rates = {choices_of(table.space["learning_rate"])[0] for table in tables}
    assert rates == {1e-5, 5e-2}


def test_goals_may_be_several(folder: Path) -> None:
    table = _table(folder, goals=["heldout_loss", "trainable_parameters"])
    evaluation = table.evaluate(Trial(0, BEST))
    assert evaluation.value is None and evaluation.error is None
    assert set(table.goals) <= set(evaluation.metrics)
    small = _table(folder, goals=["trainable_parameters"])
    assert small.optimum == 115_200
    referred = _table(folder, goals={"heldout_loss": 2.5, "trainable_parameters": 2e7})
    assert [goal.reference for goal in referred.goals.values()] == [2.5, 2e7]


def test_a_breach_of_a_limit_is_a_success_and_the_optimum_keeps_the_limits(folder: Path) -> None:
    table = _table(folder, limits={"trainable_parameters": 500_000})
    over = table.evaluate(Trial(0, BEST))  # 1,843,200 parameters
    assert over.error is None and over.value == _table(folder).optimum
    assert table.limits["trainable_parameters"].excess(over.metrics["trainable_parameters"]) > 0
    # Rank 4 on attention has 460,800 parameters: the nearest to rank 16 that keeps the limit.
    (best,) = table.minimisers
    assert best == {**BEST, "lora_rank": 4}
    assert table.evaluate(Trial(0, best)).value == table.optimum
    none = _table(folder, limits={"trainable_parameters": 1.0})
    assert none.optimum is None and not none.minimisers


def test_a_training_that_diverged_is_the_worst_in_each_goal(folder: Path) -> None:
    table = _table(folder, goals=["heldout_loss", "trainable_parameters"])
    configs = [BEST, {**BEST, "lora_rank": 64}, _diverging()]
    told = [table.evaluate(Trial(id, config)) for id, config in enumerate(configs)]
    assert [e.error is None for e in told] == [True, True, False] and told[-1].value is None
    targets = goal_targets(told, table.goals)
    assert targets[-1].tolist() == targets[:-1].max(axis=0).tolist()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "mmlu"}, "objective.task: expected one of alpaca, hellaswag"),
        ({"noise": "draw"}, "objective.noise: expected one of"),
        ({"goals": ["loss"]}, "objective.goals: expected .*'train_seconds'.*, got 'loss'"),
        ({"goals": []}, "objective.goals: expected a list of different metrics"),
        ({"goals": "heldout_loss"}, "objective.goals: expected a list of different metrics"),
        ({"limits": {"loss": 2.0}}, "objective.limits: expected .*'train_seconds'.*, got 'loss'"),
        ({"limits": {"heldout_loss": "low"}}, "limits.heldout_loss: expected a finite number"),
        ({"relabel": -1}, "objective.relabel: expected an integer of at least 0"),
        ({"folder": "no/such"}, "no/such/evaluations.csv.xz: expected the compiled LoRA table"),
    ],
)
def test_a_wrong_setting_is_named_with_its_rule(
    folder: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        _table(folder, **changes)


@pytest.mark.parametrize(
    ("name", "description", "words"),
    [
        ("lora_rank", {"type": "ordinal", "choices": [1, 2]}, "lora_rank.choices: expected some"),
        ("lora_rank", {"type": "int", "lower": 1, "upper": 64}, "lora_rank.type: expected ordinal"),
        ("dropout", {"type": "constant", "value": 0.1}, "objective.space: expected"),
    ],
)
def test_a_space_outside_the_grid_is_refused(
    folder: Path, name: str, description: dict[str, Any], words: str
) -> None:
    space: Any = OmegaConf.to_container(YAML.space)
    with pytest.raises(ValueError, match=words):
        _table(folder, space={**space, name: description})


def test_an_empty_folder_compiles_to_one_line_of_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected rows of the LoRA table's producer, got none"):
        compile_table(tmp_path, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "objectives.lora_table.compile", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1


def test_a_disk_without_room_leaves_the_compiled_table_as_it_was(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "evaluations.csv.xz"
    out.write_bytes(b"earlier")
    with pytest.raises(OSError, match="File too large"), small_disk():
        compile_table(folder, tmp_path)
    assert [*tmp_path.iterdir()] == [out] and out.read_bytes() == b"earlier"


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The second task's table with two of its 80 configurations."""
    place = tmp_path_factory.mktemp("second")
    made = [_made(cell, 0, _change(cell, 0)) for cell in CHOSEN]
    for row, _ in made:
        row["hellaswag_p_right"] = 0.4
    for name, column in (("rows-0", 0), ("items-0", 1)):
        lines = [json.dumps(line[column]) + "\n" for line in made]
        (place / f"{name}.jsonl").write_text("".join(lines))
    (place / "untrained.json").write_text(json.dumps({"selection 1": _packed(UNTRAINED)}))
    compile_table(place, place)
    return place


def test_the_second_task_has_the_fidelities_and_the_items_of_the_first(second: Path) -> None:
    table = _table(second, task="hellaswag")
    assert "HellaSwag's contexts and endings, looked up, so far 2 of 80" in (table.notice() or "")
    assert table.default == _config(cells.DEFAULT)
    evaluation = table.evaluate(Trial(0, _config(CHOSEN[1]), 1 / 9))
    assert evaluation.cost == 13.0 and evaluation.items.keys() == {"heldout_loss"}
    tested = table.test(Trial(0, _config(CHOSEN[1])))
    assert tested.keys() == {"test_loss", "hellaswag_p_right"}
    with pytest.raises(ValueError, match="got 0 of 80; narrow objective.space"):
        _table(second, task="hellaswag", noise="replicates")


def test_optimizers_ask_for_the_second_task_s_configurations_only(second: Path) -> None:
    for relabel in (None, 3):
        table = _table(second, task="hellaswag", relabel=relabel)
        cube = UnitCube(table.space)
        drawn = [cube.config(u) for u in np.random.default_rng(0).random((200, cube.dim))]
        planned = [_config(cell) for cell in HELLASWAG.plan.cells]
        assert all(config in planned for config in drawn)
        assert cube.finite is not None and len(cube.finite) == 80
    with pytest.raises(ValueError, match="expected one of the 80 configurations of task hella"):
        table.evaluate(Trial(0, BEST))
    unseen = next(config for config in planned if config not in map(_config, CHOSEN))
    with pytest.raises(RuntimeError, match="does not hold it yet"):
        table.evaluate(Trial(0, unseen))


def test_a_space_without_a_configuration_of_the_task_is_refused(second: Path) -> None:
    space = {name: {"type": "constant", "value": value} for name, value in BEST.items()}
    with pytest.raises(ValueError, match="some of the 80 configurations of the task, got none"):
        _table(second, task="hellaswag", space=space)


def test_equal_rows_compile_to_equal_bytes(folder: Path, tmp_path: Path) -> None:
    compile_table(folder, tmp_path)
    for name in ("evaluations.csv.xz", "items.csv.xz"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_the_language_model_stack_stays_unloaded() -> None:
    program = "import sys, objectives.lora_table.objective; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert done.stdout == "False\n", done.stderr


def test_the_yaml_s_grid_is_the_plan_s() -> None:
    space: Any = OmegaConf.to_container(YAML.space)
    levels = [space[name]["choices"] for name in BEST]
    assert len(list(itertools.product(*levels))) == len(cells.CELLS)
    assert levels[0] == list(cells.LEARNING_RATES)
