"""A dry run says what would be run and checks it, and neither evaluates nor writes anything."""

import socket
from pathlib import Path

import pytest

from experiments.command import main
from experiments.running.from_words import run_of
from experiments.running.logged_costs import seconds_of
from experiments.running.run_log import RunLog
from objectives.objective import Outlook


def _rows(shown: str) -> dict[str, str]:
    """Return the rows of a dry run by their names."""
    return {line[2:12].strip(): line[13:] for line in shown.splitlines()[1:]}


def _dry(
    capsys: pytest.CaptureFixture[str], folder: Path, *words: str, command: str = "run"
) -> tuple[int, dict[str, str], list[str]]:
    """Return the exit status, the rows and the faults of a dry run."""
    capsys.readouterr()
    status = main([command, *words, "dry_run=true", f"out={folder}"])
    shown = capsys.readouterr()
    return status, _rows(shown.out), shown.err.splitlines()


def test_a_dry_run_says_what_would_be_run_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("optimizer=soo", "objective=slow", "budget=30", "workers=2", "stop.patience=9")
    status, rows, faults = _dry(capsys, tmp_path / "run", *words, "objective.seconds=60")
    assert (status, faults) == (0, [])
    assert rows["budget"] == "30 full evaluations, of which 30 are left"
    # 30 evaluations of one minute, two at once.
    assert rows["time"].startswith("about 15 min: 30 x 1 min (")
    assert rows["needs"].startswith(
        "0 GPUs and 1 cores per evaluation, 0 GPUs and 2 cores in total"
    )
    assert rows["stop"] == "patience=9"
    assert list(tmp_path.iterdir()) == []


def test_it_lists_every_fault_on_a_line_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    words = ("optimizer=smac_rf", "objective=zdt1", "stop.regret=1")
    status, _, faults = _dry(capsys, tmp_path / "file", *words)
    assert status == 2
    assert [line.partition(":")[0] for line in faults] == ["stop.regret", "optimizer", "out"]


def test_it_estimates_the_time_from_the_logs_of_the_same_objective(tmp_path: Path) -> None:
    run = run_of("optimizer=random", "objective=branin", "budget=3")
    with run.open(tmp_path / "a") as log:
        run.execute(log)
    seconds, source = seconds_of(run, [tmp_path], Outlook(seconds=7.0))
    assert seconds is not None and 0 < seconds < 0.1
    assert source == "the median of 3 logged evaluations"
    other = run_of("optimizer=random", "objective=levy")
    assert seconds_of(other, [tmp_path], Outlook(seconds=7.0))[0] == 7.0


def test_logs_under_other_settings_give_a_rough_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of("optimizer=random", "objective=ackley", "objective.dimension=3", "budget=2")
    with run.open(tmp_path / "results" / "a") as log:
        run.execute(log)
    other = run_of("optimizer=random", "objective=ackley")
    other.objective.cheap = False
    monkeypatch.chdir(tmp_path)
    seconds, source = seconds_of(other, [], Outlook())
    assert seconds is not None and seconds < 0.1
    assert source == "the median of 2 logged evaluations under other settings (dimension)"


def test_it_says_where_the_time_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = run_of("optimizer=random", "objective=branin")
    run.objective.cheap = False
    assert seconds_of(run, [tmp_path], Outlook()) == (
        None,
        "unknown, as no evaluation of this objective is logged here",
    )


def test_a_run_that_is_there_is_resumed_or_finished_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("optimizer=random", "objective=branin", "budget=3")
    run = run_of(*words)
    with run.open(tmp_path) as log:
        run.execute(log)
    log_before = (tmp_path / "log.jsonl").read_bytes()
    assert "already finished" in _dry(capsys, tmp_path, *words)[1]["folder"]
    more = _dry(capsys, tmp_path, *words[:2], "budget=5")[1]
    assert more["budget"] == "5 full evaluations, of which 2 are left"
    status, _, faults = _dry(capsys, tmp_path, *words, "seed=1")
    assert status == 2 and "expected seed=0 as in the log, got 1" in faults[0]
    with RunLog(tmp_path):
        status, _, faults = _dry(capsys, tmp_path, *words)
    assert status == 2 and "got a locked one" in faults[0]
    assert (tmp_path / "log.jsonl").read_bytes() == log_before


def test_an_executor_that_cannot_work_is_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ("optimizer=random", "objective=branin", "executor=slurm")
    status, _, faults = _dry(capsys, tmp_path / "run", *words)
    assert status == 2
    assert faults[0].startswith("executor: expected the command sbatch of Slurm, got none")


def test_a_port_that_is_taken_is_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("xllamacpp")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        words = ("optimizer=random", "objective=serving", f"objective.port={port}")
        status, rows, faults = _dry(capsys, tmp_path / "run", *words)
    assert status == 2
    assert faults == [
        f"objective.port: expected a free port of this machine, got {port}, which is taken"
    ]
    # The twelfth request arrives 11.1 s after the first.
    assert rows["time"].startswith("about 9 min: 50 x 11.1 s (as the objective states, at least)")


def test_a_sweep_says_what_it_would_run_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("experiment=smoke", "budget=5")
    status, rows, faults = _dry(capsys, tmp_path / "sweep", *words, command="sweep")
    assert (status, faults) == (0, [])
    assert rows["runs"] == "12, of which 0 done"
    assert rows["budget"] == "5 full evaluations per run, 60 are left in total"
    assert rows["seeds"] == "2: 0, 1"
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_names_the_run_that_has_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("experiment=smoke", "optimizers=[random,smac_rf]", "objectives=[zdt1]")
    status, _, faults = _dry(capsys, tmp_path / "sweep", *words, command="sweep")
    assert status == 2
    assert [line.partition(", seed")[0] for line in faults] == ["smac_rf on zdt1"]
