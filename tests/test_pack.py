"""Packed runs: the same numbers as the logs, the same bytes for the same logs."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from experiments.analysis import pack
from experiments.analysis.results import Run, load
from experiments.sweeping import sweep
from processes import events

SETTINGS = ["experiment=smoke", "optimizers=[random,lhs]", "seeds=range(0,2)", "budget=6"]
FAILING = "failing objective.probability=0.5"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of eight runs, half of them with failures."""
    made = tmp_path_factory.mktemp("sweep")
    assert sweep.main([*SETTINGS, f'objectives=[mixed,"{FAILING}"]', f"out={made}"]) == 0
    return made


def same(a: Run, b: Run) -> bool:
    """Return whether two runs agree in every field; NaN equals NaN."""
    return repr(a) == repr(b)


def test_a_run_has_the_numbers_of_its_log(folder: Path) -> None:
    (log,) = (folder / "failing" / "random").glob("seed0-*")
    (run,) = load([log])
    answers = [event for event in events(log) if event["event"] == "evaluation"]
    asks = [event for event in events(log) if event["event"] == "ask"]
    assert run.seed == 0
    assert run.ended
    assert run.ids.tolist() == [0, 1, 2, 3, 4, 5]
    assert run.configs == [event["trials"][0]["config"] for event in asks]
    assert [None if np.isnan(x) else x for x in run.values] == [e["value"] for e in answers]
    assert run.errors == [event["error"] for event in answers]
    assert run.failed.tolist() == [event["error"] is not None for event in answers]
    assert 0 < run.failed.sum() < 6
    assert run.ask_s == pytest.approx([event["ask_s"] for event in asks], abs=1e-6)
    assert (run.tell_s > 0).all()
    assert (np.diff(run.times) >= 0).all()


def test_packed_runs_are_the_runs_of_the_folder(folder: Path, tmp_path: Path) -> None:
    pack.pack([folder], tmp_path / "runs.jsonl.xz")
    packed, raw = load([tmp_path / "runs.jsonl.xz"]), load([folder])
    assert len(packed) == len(raw) == 8
    assert all(same(a, b) for a, b in zip(packed, raw, strict=True))


def test_the_same_logs_give_the_same_bytes_wherever_they_lie(folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    for i, log in enumerate(reversed(sorted(folder.rglob("log.jsonl")))):
        (moved / str(i)).mkdir(parents=True)
        shutil.copy(log, moved / str(i))
    pack.pack([folder], tmp_path / "a.xz")
    pack.pack([moved], tmp_path / "b.xz")
    assert (tmp_path / "a.xz").read_bytes() == (tmp_path / "b.xz").read_bytes()


def test_a_run_given_twice_counts_once(folder: Path, tmp_path: Path) -> None:
    pack.pack([folder], tmp_path / "runs.jsonl.xz")
    assert len(load([folder, tmp_path / "runs.jsonl.xz", folder])) == 8


def test_an_unfinished_run_is_packed_and_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "mixed" / "lhs", tmp_path / "runs")
    log = next((tmp_path / "runs").rglob("log.jsonl"))
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:7]))  # three evaluations
    assert pack.main([str(tmp_path / "runs")]) == 0
    assert "2 runs, 1 of them unfinished" in capsys.readouterr().out
    found = load([tmp_path / "runs" / "runs.jsonl.xz"])
    assert sorted((run.ended, len(run.ids)) for run in found) == [(False, 3), (True, 6)]


def test_labels_name_what_differs_and_leave_out_what_is_the_seed(tmp_path: Path) -> None:
    settings = [
        "optimizers=[soo,'soo optimizer.k=5']",
        "objectives=['ackley objective.shift=${seed} objective.dimension=2,3']",
        "seeds=[1,2]",
        "budget=3",
    ]
    assert sweep.main(["experiment=smoke", *settings, f"out={tmp_path}"]) == 0
    runs = load([tmp_path])
    assert {run.optimizer for run in runs} == {"soo k=3", "soo k=5"}
    assert {run.objective for run in runs} == {"ackley dimension=2", "ackley dimension=3"}
    assert len(runs) == 8


def test_a_word_before_the_seed_makes_one_task_of_all_seeds(tmp_path: Path) -> None:
    settings = [
        "optimizers=[random]",
        "objectives=['ackley objective.shift=${seed}','ackley objective.shift=anywhere${seed}']",
        "seeds=[1,2]",
        "budget=1",
    ]
    assert sweep.main(["experiment=smoke", *settings, f"out={tmp_path}"]) == 0
    labels = sorted({run.objective for run in load([tmp_path])})
    assert labels == ["ackley shift=anywhere+seed", "ackley shift=seed"]


def test_a_design_made_for_the_budget_has_one_name_under_two_budgets(tmp_path: Path) -> None:
    settings = ["optimizers=[lhs]", "objectives=[branin]", "seeds=[0]"]
    for budget in (3, 4):
        folder = tmp_path / str(budget)
        given = ["experiment=smoke", *settings, f"budget={budget}", f"out={folder}"]
        assert sweep.main(given) == 0
    assert [run.optimizer for run in load([tmp_path])] == ["lhs", "lhs"]


@pytest.mark.parametrize("content", [b"", b"no xz", b"\xfd7zXZ\x00cut off"])
def test_a_file_that_is_none_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl.xz").write_bytes(content)
    with pytest.raises(
        ValueError, match="runs.jsonl.xz: expected a folder of runs, or a file of packed runs"
    ):
        load([tmp_path / "runs.jsonl.xz"])


def test_a_folder_without_runs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="expected logs of runs, or runs.jsonl.xz, below"):
        load([tmp_path])
    assert pack.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"{tmp_path}: expected logs of runs, got none\n"
