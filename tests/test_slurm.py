"""Runs on a real Slurm cluster of one node, which `tests/slurm/one_node.sh` starts as root."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.running.executors.choice import SlurmChoice
from experiments.running.history import History
from experiments.running.run import Run
from experiments.running.run_log import read
from objectives.objective import Objective
from processes import ROOT, finish
from test_executors import reasons, settings
from test_ray import Alone, begun, until

SCRIPT = ROOT / "tests" / "slurm" / "one_node.sh"


def impossible() -> str | None:
    """Return why no Slurm can be started here."""
    if os.geteuid() != 0:
        return "only root can start a Slurm cluster"
    missing = [name for name in ("slurmctld", "slurmd", "munged") if shutil.which(name) is None]
    return f"{missing[0]} is not installed (slurm-wlm, munge)" if missing else None


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    reason = impossible()
    if reason is not None:
        pytest.skip(reason)
    pytest.importorskip("submitit")
    folder = tmp_path_factory.mktemp("slurm")
    before = dict(os.environ)
    started = subprocess.run([SCRIPT, "start", folder], capture_output=True, text=True, timeout=120)
    assert started.returncode == 0, started.stderr
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    try:
        yield
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=True, timeout=60)
        os.environ.clear()
        os.environ.update(before)


def make(
    folder: Path, kind: str = "good", objective: Objective | None = None, **more: Any
) -> History:
    extra = more.pop("extra", {})
    choice = SlurmChoice(time_min=5, poll_s=0.5, extra=extra)
    run = Run(settings(folder, kind, **more), objective, executor=choice)
    with run.open(folder) as log:
        run.execute(log)
        return log.history


def listed() -> list[str]:
    shown = subprocess.run(
        ["squeue", "--noheader", "--me", "--format=%A"], capture_output=True, text=True, check=True
    )
    return shown.stdout.split()


@pytest.mark.slow
def test_every_evaluation_is_a_job_and_nothing_is_left_behind(slurm: None, tmp_path: Path) -> None:
    history = make(tmp_path / "run", workers=2, budget=5)
    assert history.ended and sorted(history.evaluations) == list(range(5))
    assert history.tests()[0].metrics == {"tested": 2.0}
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["log.jsonl"]


@pytest.mark.slow
def test_a_pre_empted_job_is_submitted_again_and_burns_no_configuration(
    slurm: None, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    urgent = ["sbatch", "--partition=urgent", "--exclusive", f"--output={tmp_path}/urgent"]
    program = (
        "import sys; from pathlib import Path; from test_slurm import make\n"
        "make(Path(sys.argv[1]), budget=3, seconds=6.0)\n"
    )
    runner = subprocess.Popen([sys.executable, "-c", program, str(folder)])
    until(lambda: len(begun(folder)) == 2)
    subprocess.run([*urgent, "--wrap=sleep 1"], check=True, stdout=subprocess.DEVNULL)
    assert runner.wait(180) == 0
    history = read(folder / "log.jsonl")
    assert history.ended and all(e.error is None for e in history.evaluations.values())
    (reason,) = reasons(history)
    assert "pre-emption" in reason or "PREEMPTED" in reason
    assert begun(folder) == [0, 1, 1, 2]


@pytest.mark.slow
def test_a_time_limit_of_slurm_is_a_fault_of_the_host(slurm: None, tmp_path: Path) -> None:
    history = make(tmp_path / "run", "ended by slurm", EndedOnce(tmp_path), budget=2)
    assert all(evaluation.error is None for evaluation in history.evaluations.values())
    assert reasons(history) == ["Slurm ended its job: pre-emption or the time limit"]


class EndedOnce(Alone):
    """Receives the signal that Slurm sends before the time limit, once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(kind="good", path=os.devnull)
        self._mark = folder / "ended"

    def evaluate(self, trial: Any) -> Any:
        from objectives.trial import Evaluation

        if not self._mark.exists():
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGUSR2)
            time.sleep(60)
        return Evaluation(1.0, 1.0)


@pytest.mark.slow
def test_jobs_outlive_the_runner_and_a_restarted_one_waits_for_them(
    slurm: None, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    program = (
        "import sys; from pathlib import Path; from test_slurm import make\n"
        "make(Path(sys.argv[1]), workers=6, budget=8, seconds=5.0)\n"
    )
    runner = subprocess.Popen([sys.executable, "-c", program, str(folder)])
    until(lambda: len(begun(folder)) == 4 and len(listed()) >= 6)  # four run, two are queued
    runner.kill()
    runner.wait()
    history = make(folder, workers=6, budget=8, seconds=5.0)
    assert history.ended and sorted(history.evaluations) == list(range(8))
    assert sorted(begun(folder)) == list(range(8))  # nothing was evaluated twice


@pytest.mark.slow
def test_a_crash_fails_after_two_jobs_and_a_late_evaluation_at_once(
    slurm: None, tmp_path: Path
) -> None:
    history = make(tmp_path / "crash", "exits", budget=2)
    assert history.evaluations[1].error == (
        "the evaluation ended its job 2 times, the last time: FAILED"
    )
    history = make(tmp_path / "late", "hangs", budget=2, evaluation_timeout_s=3.0)
    error = "evaluation_timeout_s: expected an answer within 3 s, got none"
    assert history.evaluations[1].error == error


@pytest.mark.slow
def test_an_option_that_sbatch_refuses_is_one_line(slurm: None, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="executor: expected sbatch to take a job, got: ") as raised:
        make(tmp_path / "run", extra={"partition": "nowhere"})
    assert "\n" not in str(raised.value)


def test_without_slurm_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ("executor=slurm", "objective=branin", "optimizer=random", f"out={tmp_path}")
    done = finish(*words)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("executor: expected the command sbatch of Slurm, got none")


@pytest.mark.parametrize("given", [{"time_min": 0}, {"poll_s": -1.0}, {"memory_gib": True}])
def test_settings_of_slurm_are_checked(given: dict[str, Any]) -> None:
    (key,) = given
    rule = "a finite number above 0"
    with pytest.raises(ValueError, match=f"executor.{key}: expected (null or )?{rule}, got "):
        SlurmChoice(**given)
