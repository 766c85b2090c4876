"""Executors: an evaluation that harms its process or returns invalid values costs only itself."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from experiments.running.events import Retried
from experiments.running.executors import choice
from experiments.running.executors.executor import Answer
from experiments.running.executors.handover import Handover
from experiments.running.executors.inline import Inline
from experiments.running.executors.pool import Done, Pool, Progress
from experiments.running.executors.processes import _Evaluating
from experiments.running.history import History
from experiments.running.run import Run, RunSettings
from experiments.running.run_log import read
from experiments.running.runner import HostBroken
from objectives.trial import Evaluation, Trial
from odd import Odd
from processes import ROOT, environment


def settings(folder: Path, kind: str, workers: int = 1, **more: Any) -> RunSettings:
    about = {"_target_": "odd.Odd", "kind": kind, "path": str(folder.with_suffix(".evaluated"))}
    seconds = more.pop("seconds", 0.0)
    return RunSettings(
        {"optimizer": "random", "objective": "odd"},
        {"_target_": "optimizers.random_search.RandomSearch"},
        {**about, "seconds": seconds},
        seed=0,
        budget=more.pop("budget", 3),
        workers=workers,
        **more,
    )


def finished(folder: Path, kind: str, executor: Any = choice.auto, **more: Any) -> History:
    run = Run(settings(folder, kind, **more), executor=executor)
    with run.open(folder) as log:
        run.execute(log)
        return log.history


def reasons(history: History) -> list[str]:
    return [event.reason for event in history.events if isinstance(event, Retried)]


def test_an_evaluation_that_ends_its_process_twice_has_failed(tmp_path: Path) -> None:
    history = finished(tmp_path / "run", "exits")
    assert list(history.evaluations) == [0, 1, 2] and history.ended
    failed = history.evaluations[1]
    assert failed.error == "the evaluation ended its process 2 times, the last time: exit code 7"
    assert reasons(history) == ["the evaluation ended its process: exit code 7"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["log.jsonl"]


def reports_and_dies(task: int, report: Any) -> None:
    report("begun")
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_death_of_a_worker_that_has_just_reported_is_not_lost() -> None:
    pool = Pool(reports_and_dies, 1)
    try:
        pool.submit(0)
        while pool._workers[0].process.is_alive():
            time.sleep(0.01)  # its report is read when it has already ended
        assert pool.next(60) == Progress(0, "begun")
        assert pool.next(60) == Done(0, died="signal SIGKILL")
        assert pool.free == 1
    finally:
        pool.close()


def test_an_evaluation_that_ends_its_process_once_is_made_again(tmp_path: Path) -> None:
    history = finished(tmp_path / "run", "exits once")
    assert history.evaluations[1].error is None and len(reasons(history)) == 1


@pytest.mark.parametrize("executor", [choice.inline, choice.processes])
def test_sys_exit_in_an_objective_is_a_failed_evaluation(executor: Any, tmp_path: Path) -> None:
    history = finished(tmp_path / "run", "calls sys.exit", executor)
    assert history.evaluations[1].error == "SystemExit: 0"
    assert list(history.evaluations) == [0, 1, 2] and history.ended


def test_a_limit_of_time_ends_code_that_ignores_signals(tmp_path: Path) -> None:
    started = time.monotonic()
    history = finished(tmp_path / "run", "hangs", evaluation_timeout_s=1.0)
    assert history.evaluations[1].error == (
        "evaluation_timeout_s: expected an answer within 1 s, got none"
    )
    assert list(history.evaluations) == [0, 1, 2]
    assert time.monotonic() - started < 60


def test_a_fault_of_the_host_burns_no_configuration(tmp_path: Path) -> None:
    history = finished(tmp_path / "run", "host once", choice.inline)
    assert history.evaluations[1].error is None
    assert reasons(history) == ["HostFault: the port was taken"]


@pytest.mark.parametrize("executor", [choice.inline, choice.processes])
def test_a_set_up_that_cannot_work_ends_the_run_at_once_with_its_own_line(
    executor: Any, tmp_path: Path
) -> None:
    with pytest.raises(HostBroken, match="^objective.default: expected a configuration that"):
        finished(tmp_path / "run", "set-up", executor)
    assert list(read(tmp_path / "run" / "log.jsonl").evaluations) == [0]


@pytest.mark.parametrize("kind", ["host", "full disk"])
def test_a_host_that_stays_broken_ends_the_run_which_goes_on_later(
    kind: str, tmp_path: Path
) -> None:
    with pytest.raises(HostBroken, match="trial 1: expected its evaluation to end"):
        finished(tmp_path / "run", kind, choice.inline)
    history = read(tmp_path / "run" / "log.jsonl")
    assert list(history.evaluations) == [0] and len(reasons(history)) == 3
    run = Run(settings(tmp_path / "run", kind), Good())
    with run.open(tmp_path / "run") as log:
        run.execute(log)
        assert sorted(log.history.evaluations) == [0, 1, 2]


class Good(Odd):
    def __init__(self) -> None:
        super().__init__(kind="", path=os.devnull)
        self.cheap = True


@pytest.mark.parametrize("executor", [choice.inline, choice.processes])
def test_a_raise_in_the_test_does_not_lose_the_end_of_the_run(
    executor: Any, tmp_path: Path
) -> None:
    history = finished(tmp_path / "run", "raises in test", executor)
    assert history.ended and history.tests()[0].error == "RuntimeError: no test today"


def test_a_test_that_ends_its_process_does_not_lose_the_end_of_the_run(tmp_path: Path) -> None:
    history = finished(tmp_path / "run", "exits in test")
    assert history.ended and history.tests()[0].error == "the test ended its process: exit code 7"


def test_the_test_metrics_are_plain_numbers(tmp_path: Path) -> None:
    history = finished(tmp_path / "run", "good", choice.inline)
    assert history.tests()[0].metrics == {"tested": 2.0}


def test_an_objective_is_given_a_copy_of_the_trial(tmp_path: Path) -> None:
    history = finished(tmp_path / "run", "changes the config", choice.inline)
    assert isinstance(history.trials[1].config["x"], float)


def test_four_workers_outlive_their_runner_and_what_they_finish_is_taken_in(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    program = (
        "import sys; sys.path.insert(0, 'tests'); from pathlib import Path\n"
        "from test_executors import finished\n"
        "if __name__ == '__main__': finished(Path(sys.argv[1]), 'good', workers=4, budget=12, "
        "seconds=3.0)\n"
    )
    script = tmp_path / "main.py"
    script.write_text(program)
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        cwd=ROOT,
        env={**environment(), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
    )
    evaluated = folder.with_suffix(".evaluated")
    until = time.monotonic() + 120
    while not (evaluated.exists() and len(evaluated.read_text().split()) >= 4):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    history = finished(folder, "good", workers=4, budget=12, seconds=3.0)
    made = list(map(int, evaluated.read_text().split()))
    assert sorted(made) == sorted(set(made)) == list(range(12))
    assert sorted(history.evaluations) == list(range(12))


class Gone:
    """A runner that was killed."""

    def is_alive(self) -> bool:
        return False


def test_a_worker_that_starts_after_its_runners_end_evaluates_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = Odd(kind="good", path=str(tmp_path / "evaluated"))
    objective.folder = tmp_path
    monkeypatch.setattr("multiprocessing.parent_process", Gone)
    with pytest.raises(SystemExit):
        _Evaluating(objective)(Trial(0, {"x": 0.5}), lambda report: None)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_only_an_answer_to_exactly_the_trial_asked_is_taken_in(tmp_path: Path) -> None:
    handover = Handover(tmp_path)
    trial, other = Trial(3, {"x": 0.25}), Trial(3, {"x": 0.5})
    with handover.claim(trial):
        handover.put(Answer(trial, Evaluation(1.0, 2.0, {"m": 3.0})))
        assert Handover(tmp_path).claimed(trial) and not Handover(tmp_path).claimed(other)
    assert not handover.claimed(trial)
    assert handover.take(other) is None
    answer = handover.take(trial)
    assert answer is not None and answer.evaluation == Evaluation(1.0, 2.0, {"m": 3.0})
    (tmp_path / "answers" / "3.json").write_text("{")
    assert handover.take(trial) is None


def test_auto_is_inline_for_what_is_cheap_and_processes_for_all_else() -> None:
    cheap, dear = Good(), Odd(kind="", path=os.devnull)
    assert isinstance(choice.auto(cheap, 1, None), Inline)
    for objective, workers, limit_s in ((dear, 1, None), (cheap, 2, None), (cheap, 1, 5.0)):
        assert not isinstance(choice.auto(objective, workers, limit_s), Inline)


@pytest.mark.parametrize(("workers", "limit_s"), [(2, None), (1, 5.0)])
def test_inline_refuses_what_it_cannot_do(workers: int, limit_s: float | None) -> None:
    with pytest.raises(ValueError, match="executor: expected processes or auto"):
        choice.inline(Good(), workers, limit_s)


def test_what_makes_no_executor_is_refused() -> None:
    factories: list[Any] = [dict, print]
    for factory in factories:
        with pytest.raises(ValueError, match="^executor: expected a.* executor.*, got"):
            choice.made_by(factory, Good(), 1, None)


@pytest.mark.parametrize("limit_s", [0, -1, float("nan"), float("inf"), True, "5"])
def test_a_limit_of_time_is_a_positive_number_of_seconds(limit_s: object) -> None:
    with pytest.raises(
        ValueError, match="evaluation_timeout_s: expected null or a finite number above 0"
    ):
        choice.check_timeout(limit_s)


def test_an_objective_that_cannot_be_pickled_is_refused_in_one_line() -> None:
    class Local(Good):
        pass

    with pytest.raises(ValueError, match="executor: expected an objective that can be pickled"):
        choice.processes(Local(), 2, None)


def made(**fields: Any) -> Any:
    """Return an evaluation with fields of any type."""
    return Evaluation(**{"value": 1.0, "cost": 1.0, **fields})


def test_a_worker_keeps_the_threads_that_the_user_allows(tmp_path: Path) -> None:
    before = dict(os.environ)
    choice.processes(Good(), 2, None).close()
    assert dict(os.environ) == before
