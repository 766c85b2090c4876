"""The table of an experiment, and the message if there is none."""

import json
from pathlib import Path

import pytest

from experiments.running.plan import RunState, held, read_ledger, read_plan, states
from experiments.running.run_log import RunLog
from experiments.sweeping import status, sweep

SETTINGS = ["experiment=smoke", "optimizers=[random,soo]", "objectives=[branin]", "budget=5"]


def make(folder: Path) -> dict[str, Path]:
    """Make four runs; return the logs by optimizer, of seed 0."""
    assert sweep.main([*SETTINGS, "seeds=range(0,2)", f"out={folder}"]) == 0
    runs = read_plan(folder)["runs"]
    first = [run for run in runs if run["seed"] == 0]
    return {run["optimizer"]: folder / run["folder"] / "log.jsonl" for run in first}


def cut(log: Path, n_lines: int) -> None:
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:n_lines]))


def rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """Return the cells of the table by optimizer."""
    capsys.readouterr()
    assert status.main([str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    return {line.split()[0]: line.split()[1:] for line in lines}


def test_the_table_counts_the_states_of_the_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = make(tmp_path)
    cut(logs["random"], 5)
    logs["soo"].unlink()
    table = rows(tmp_path, capsys)
    assert table["random"][:5] == ["1", "0", "1", "0", "0"]
    assert table["soo"][:5] == ["1", "0", "0", "0", "1"]
    assert table["all"][:5] == ["2", "0", "1", "0", "1"]


def test_a_run_whose_log_is_locked_is_running(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = make(tmp_path)
    cut(logs["random"], 5)
    with RunLog(logs["random"].parent):
        assert rows(tmp_path, capsys)["random"][:5] == ["1", "1", "0", "0", "0"]


def test_a_process_that_waits_for_a_lock_does_not_hold_it() -> None:
    locks = """1: FLOCK  ADVISORY  WRITE 22 fe:00:101 0 EOF
1: -> FLOCK  ADVISORY  WRITE 23 fe:00:101 0 EOF
2: POSIX  ADVISORY  WRITE 24 fe:00:102 0 EOF
3: FLOCK  ADVISORY  READ 25 00:1a:103 0 EOF
"""
    assert held(locks) == {101, 103}


def test_time_left_is_what_the_evaluations_took_times_those_to_make() -> None:
    # a: 2 s for 4 evaluations, 0.5 s each; 5 - 1 = 4 to make: 2 s, on two workers 1 s.
    # b: nothing known, so the mean over all, 0.5 s: 5 to make: 2.5 s, on two workers 1.25 s.
    runs = [{"identity": i, "optimizer": i[0]} for i in ("a0", "a1", "b0")]
    plan = {"budget": 5.0, "runs": runs}
    found = {
        "a0": RunState("done"),
        "a1": RunState("partial", 1),
        "b0": RunState("waiting"),
    }
    ledger = [
        {"event": "start", "workers": 2},
        {"event": "done", "identity": "a0", "wall_s": 2.0, "evaluations": 4},
    ]
    assert status.time_left(plan, found, ledger) == {"a": 1.0, "b": 1.25}


def test_a_ledger_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    make(tmp_path)
    ledger = tmp_path / "ledger.jsonl"
    n_events = len(read_ledger(tmp_path))
    ledger.write_bytes(ledger.read_bytes()[:-10])
    assert len(read_ledger(tmp_path)) == n_events - 1
    assert all(s.state == "done" for s in states(tmp_path, read_plan(tmp_path)).values())


def test_a_log_of_another_identity_is_not_the_run(tmp_path: Path) -> None:
    log = make(tmp_path)["random"]
    header, rest = log.read_text().split("\n", 1)
    log.write_text(json.dumps({**json.loads(header), "identity": "other"}) + "\n" + rest)
    found = states(tmp_path, read_plan(tmp_path))
    assert sorted(state.state for state in found.values()) == ["done", "done", "done", "partial"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "expected experiment=NAME or one FOLDER, got none"),
        (["experiment=never_made"], "expected the folder of an experiment, got no"),
        (["/nowhere"], "expected the folder of an experiment, got no"),
        (["experiment=smoke", "fast=1"], "fast: expected one of experiment, out, got fast=1"),
    ],
)
def test_a_mistake_ends_in_one_line(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status.main(arguments) == 2
    errors = capsys.readouterr().err
    assert expected in errors
    assert len(errors.splitlines()) == 1
