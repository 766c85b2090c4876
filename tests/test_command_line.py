"""Typed command lines in real processes: runs, resumes, interrupts, and mistakes."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from processes import ROOT, command, environment, events, finish, timeless

SOO = ["optimizer=soo", "objective=branin", "budget=20"]


def test_a_run_leaves_the_log_of_the_contract(tmp_path: Path) -> None:
    done = finish(*SOO, "seed=3", f"out={tmp_path}")
    assert done.returncode == 0, done.stderr
    header, *rest = events(tmp_path)
    assert header["event"] == "header"
    assert (header["seed"], header["budget"], header["optimizer"]["k"]) == (3, 20, 3)
    asks = [event for event in rest if event["event"] == "ask"]
    answers = [event for event in rest if event["event"] == "evaluation"]
    assert {"n", "trials"} <= asks[0].keys()
    assert all({"id", "config", "fidelity"} <= trial.keys() for trial in asks[0]["trials"])
    assert all({"id", "value", "cost", "metrics", "error"} <= event.keys() for event in answers)
    assert [event["id"] for event in answers] == list(range(20))


def test_a_pipe_gets_a_summary_and_no_bar(tmp_path: Path) -> None:
    done = finish(*SOO, f"out={tmp_path}")
    assert done.stderr == ""
    assert "20 evaluations, 0 failed" in done.stdout
    assert str(tmp_path / "log.jsonl") in done.stdout


def test_the_picture_is_drawn_beside_the_log(tmp_path: Path) -> None:
    done = finish(*SOO, "plot=true", f"out={tmp_path}")
    assert str(tmp_path / "convergence.png") in done.stdout
    assert (tmp_path / "convergence.png").read_bytes().startswith(b"\x89PNG")


def test_a_finished_run_says_so_and_does_nothing(tmp_path: Path) -> None:
    finish(*SOO, f"out={tmp_path}")
    before = (tmp_path / "log.jsonl").read_bytes()
    done = finish(*SOO, f"out={tmp_path}")
    assert done.returncode == 0
    assert "finished" in done.stdout
    assert (tmp_path / "log.jsonl").read_bytes() == before


def test_an_extended_run_asks_what_a_longer_one_asks(tmp_path: Path) -> None:
    finish(*SOO, f"out={tmp_path / 'extended'}")
    finish(*SOO, "budget=30", f"out={tmp_path / 'extended'}")
    finish(*SOO, "budget=30", f"out={tmp_path / 'long'}")
    kinds = ("ask", "evaluation")
    extended, long = (
        [event for event in timeless(tmp_path / name) if event["event"] in kinds]
        for name in ("extended", "long")
    )
    assert extended == long


def test_a_run_that_was_cut_short_by_a_smaller_budget_can_be_extended(tmp_path: Path) -> None:
    finish(*SOO, f"out={tmp_path}")
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(log.read_text().splitlines()[:15]) + "\n")  # interrupted after 7
    assert "budget spent 9 of 9" in finish(*SOO, "budget=9", f"out={tmp_path}").stdout
    assert "budget spent 12 of 12" in finish(*SOO, "budget=12", f"out={tmp_path}").stdout


def test_a_design_made_for_its_budget_cannot_be_extended(tmp_path: Path) -> None:
    finish("optimizer=lhs", "objective=branin", "budget=10", f"out={tmp_path}")
    done = finish("optimizer=lhs", "objective=branin", "budget=12", f"out={tmp_path}")
    assert done.returncode == 2
    assert "cannot be extended" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_a_resumable_log_and_says_how(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    settings = [*SOO, "budget=3000", f"out={tmp_path}"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command(*settings), cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
    log = tmp_path / "log.jsonl"
    while not (log.exists() and log.read_bytes().count(b"\n") > 20):
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "resume with: python" in errors
    assert len(errors.splitlines()) == 1
    n_logged = sum(event["event"] == "evaluation" for event in events(tmp_path))
    done = finish(*SOO, f"budget={n_logged + 1}", f"out={tmp_path}")
    assert f"resuming after {n_logged} evaluations" in done.stdout


def test_a_parallel_run_that_was_killed_resumes(tmp_path: Path) -> None:
    settings = [
        "optimizer=random",
        "objective=branin",
        "objective._target_=counting.CountingBranin",
        f"+objective.path={tmp_path / 'evaluated'}",
        "+objective.seconds=0.05",
        "budget=30",
        "workers=2",
    ]
    out = f"out={tmp_path / 'run'}"
    process = subprocess.Popen(command(*settings, out), cwd=ROOT, env=environment())
    log = tmp_path / "run" / "log.jsonl"
    while not (log.exists() and log.read_bytes().count(b'"evaluation"') > 5):
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.wait()
    logged = {e["id"] for e in events(tmp_path / "run") if e["event"] == "evaluation"}
    (tmp_path / "evaluated").unlink()
    done = finish(*settings, out)
    assert done.returncode == 0, done.stderr
    answers = [e["id"] for e in events(tmp_path / "run") if e["event"] == "evaluation"]
    assert sorted(answers) == list(range(30))
    again = {int(line) for line in (tmp_path / "evaluated").read_text().split()}
    assert again.isdisjoint(logged)


def test_a_sweep_runs_what_it_can_and_reports_what_it_cannot(tmp_path: Path) -> None:
    done = finish(
        "-m",
        "optimizer=random,soo",
        "objective=branin",
        "budget=3,0",
        f"out={tmp_path}/${{hydra:runtime.choices.optimizer}}",
        f"hydra.sweep.dir={tmp_path}",
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "budget: expected a finite number above 0 and at most 1e+09, got 0",
        "budget: expected a finite number above 0 and at most 1e+09, got 0",
    ]
    assert [len(events(tmp_path / name)) for name in ("random", "soo")] == [8, 8]


MISTAKES = {
    "an unknown optimizer": (["optimizer=soop"], "optimizer: expected one of"),
    "an unknown objective": (["objective=nope"], "objective: expected one of"),
    "a misspelt setting": (["bugdet=5"], "did you mean budget?"),
    "a misspelt key of the optimizer": (["optimizer.varient=v2"], "did you mean variant?"),
    "a misspelt key of the objective": (["objective.shfit=3"], "did you mean shift?"),
    "a misspelt parameter": (["objective.space.x3.upper=1"], "x3"),
    "an empty range": (["objective.space.x1.upper=-9"], "expected lower <= upper"),
    "a range of the wrong type": (["objective.space.x1.upper=wide"], "expected a finite float"),
    "no budget": (["budget=0"], "budget: expected a finite number above 0"),
    "a negative budget": (["budget=-1"], "budget: expected a finite number above 0"),
    "a budget of the wrong type": (["budget=many"], "budget: expected a finite number above 0"),
    "a seed of the wrong type": (["seed=0.5"], "seed: expected an integer"),
    "no workers": (["workers=0"], "workers: expected an integer of at least 1"),
    "a setting out of range": (["optimizer.variant=v9"], "variant: expected one of"),
    "a word that is no setting": (["fast"], "fast: expected key=value"),
    "a folder that cannot be made": (["out=/proc/nowhere"], "/proc/nowhere"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_in_one_readable_line(name: str, tmp_path: Path) -> None:
    arguments, expected = MISTAKES[name]
    done = finish(*SOO, f"out={tmp_path / 'run'}", *arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "got" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "optuna.py").write_text("raise ModuleNotFoundError(name='optuna')")
    done = subprocess.run(
        command("optimizer=tpe", "objective=branin", f"out={tmp_path / 'run'}"),
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "'.[optuna]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["seed=1"], "expected seed=0 as in the log, got 1"),
        (["objective=levy"], "as in the log"),
        (["objective.shift=2"], "expected objective.shift=0 as in the log, got 2"),
        (["optimizer.variant=official"], "expected optimizer.variant=v2 as in the log"),
    ],
)
def test_a_log_of_another_run_is_refused_and_left_alone(
    change: list[str], expected: str, tmp_path: Path
) -> None:
    finish(*SOO, f"out={tmp_path}")
    before = (tmp_path / "log.jsonl").read_bytes()
    done = finish(*SOO, *change, f"out={tmp_path}")
    assert done.returncode == 2
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / "log.jsonl").read_bytes() == before


def test_a_log_of_another_code_version_is_refused(tmp_path: Path) -> None:
    finish(*SOO, f"out={tmp_path}")
    log = tmp_path / "log.jsonl"
    header, rest = log.read_text().split("\n", 1)
    fields = json.loads(header)
    fields["code"]["version"] = "99.0.0"
    log.write_text(json.dumps(fields) + "\n" + rest)
    done = finish(*SOO, "budget=30", f"out={tmp_path}")
    assert done.returncode == 2
    assert "version 99.0.0, got" in done.stderr


def test_a_corrupt_log_names_its_line(tmp_path: Path) -> None:
    finish(*SOO, f"out={tmp_path}")
    log = tmp_path / "log.jsonl"
    lines = log.read_text().splitlines()
    lines[4] = lines[4][:20]
    log.write_text("\n".join(lines) + "\n")
    done = finish(*SOO, "budget=30", f"out={tmp_path}")
    assert done.returncode == 2
    assert "log.jsonl, line 5: expected" in done.stderr
    assert len(done.stderr.splitlines()) == 1
