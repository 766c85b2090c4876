"""Executors: an evaluation that harms its process or returns invalid values costs only itself."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.running.events import Ask, Evaluated, Retried
from experiments.running.executors import choice
from experiments.running.executors.evaluating import evaluate, normalised
from experiments.running.executors.executor import Answer
from experiments.running.executors.handover import Handover
from experiments.running.executors.inline import Inline
from experiments.running.executors.pool import Done, Pool, Progress
from experiments.running.executors.processes import _Evaluating
from experiments.running.header import Header
from experiments.running.history import History
from experiments.running.run import Run, RunSettings
from experiments.running.run_log import RunLog, read
from experiments.running.runner import HostBroken
from made_headers import header_event
from objectives.objective import Objective
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


class Handing(Objective):
    """Returns the value that it was given."""

    space = Odd.space

    def __init__(self, returned: Any) -> None:
        self._returned = returned

    def evaluate(self, trial: Trial) -> Evaluation:
        returned: Evaluation = self._returned
        return returned


SCALARS = [
    np.float32(1.5), np.float64(1.5), np.array(1.5), np.int64(2), np.float16(0.5), 3,
    np.longdouble(1.5), np.uint8(2), Fraction(3, 2),
]  # fmt: skip


@pytest.mark.parametrize("scalar", SCALARS, ids=repr)
def test_scalars_of_numpy_become_numbers(scalar: Any) -> None:
    plain = normalised(Evaluation(scalar, scalar, {"m": scalar}))
    assert plain == Evaluation(float(scalar), float(scalar), {"m": float(scalar)})
    assert {type(plain.value), type(plain.cost), type(plain.metrics["m"])} == {float}


def test_scalars_of_torch_become_numbers() -> None:
    torch = pytest.importorskip("torch")
    plain = normalised(Evaluation(torch.tensor(1.5), 1.0, {"m": torch.tensor(2)}))
    assert plain == Evaluation(1.5, 1.0, {"m": 2.0})


def made(**fields: Any) -> Any:
    """Return an evaluation with fields of any type."""
    return Evaluation(**{"value": 1.0, "cost": 1.0, **fields})


WRONG: list[tuple[Any, str]] = [
    (made(cost=float("nan")), "cost: expected seconds, got nan"),
    (made(cost=float("inf")), "cost: expected seconds, got inf"),
    (made(cost=-1.0), "cost: expected seconds, got -1.0"),
    (made(cost=1e300), "cost: expected seconds, got 1e+300"),
    (made(cost=None), "cost: expected seconds, got None"),
    (made(cost="1.5"), "cost: expected seconds, got '1.5'"),
    (made(cost=np.float32("nan")), "cost: expected seconds, got nan"),
    (made(value=float("nan")), "value: expected a finite number, got nan"),
    (made(value=np.array([1.0])), "value: expected a finite number, got array([1.])"),
    (made(value="1"), "value: expected a finite number, got '1'"),
    (made(value=True), "value: expected a finite number, got True"),
    (made(value=10**400), "value: expected a finite number, got 1000"),
    (made(value=1 + 2j), "value: expected a finite number, got (1+2j)"),
    (made(value=None), "evaluation: expected a value or an error, got neither"),
    (made(metrics=None), "metrics: expected numbers by name, got None"),
    (made(metrics={"m": None}), "metrics.m: expected a number, got None"),
    (made(metrics={"m": "high"}), "metrics.m: expected a number, got 'high'"),
    (made(metrics={3: 1.0}), "metrics: expected names that are text, got 3"),
    (made(error=RuntimeError("no")), "error: expected text or None, got RuntimeError('no')"),
    (made(items={"m": b"bits"}), "items.m: expected text, got b'bits'"),
    (made(value=np.ma.masked), "value: expected a finite number, got masked"),
    (made(value=10**5000), "value: expected a finite number, got a value of the type int"),
    (made(cost=np.timedelta64(3, "ns")), "cost: expected seconds, got np.timedelta64(3,'ns')"),
    (made(cost=timedelta(seconds=3)), "cost: expected seconds, got datetime.timedelta"),
    (
        made(metrics={"m": np.datetime64(1, "ns")}),
        "metrics.m: expected a number, got np.datetime64",
    ),
    (made(metrics={"\udcff": 1.0}), r"metrics: expected names that are text, got '\udcff'"),
    (made(items={"m": "\udcff"}), r"items.m: expected text, got '\udcff'"),
    (made(error=""), "error: expected text or None, got ''"),
    (made(items=None), "items: expected packed outcomes by name, got None"),
    (None, "evaluate: expected an Evaluation, got None"),
    (1.5, "evaluate: expected an Evaluation, got 1.5"),
]


@pytest.mark.parametrize(("returned", "message"), WRONG, ids=[message for _, message in WRONG])
def test_what_is_no_evaluation_is_a_failed_one_that_names_the_field(
    returned: Any, message: str
) -> None:
    answer = evaluate(Handing(returned), Trial(0, {"x": 0.5}))
    evaluation = answer.evaluation
    assert evaluation is not None and evaluation.value is None
    assert evaluation.error is not None and message in evaluation.error


class Unsayable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


RAISED: list[tuple[BaseException, str]] = [
    (Unsayable(), "Unsayable: a message that cannot be shown (RuntimeError)"),
    (FileNotFoundError("no \udcff"), r"FileNotFoundError: no \udcff"),
    (asyncio.CancelledError("late"), "CancelledError: late"),
    (GeneratorExit("closed"), "GeneratorExit: closed"),
    (ExceptionGroup("two", [ValueError("a")]), "ExceptionGroup: two (1 sub-exception)"),
    (ValueError("x" * 10**6), "ValueError: " + "x" * 3988 + "..."),
]


class Raising(Objective):
    """Raises the exception that it was given."""

    space = Odd.space

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def evaluate(self, trial: Trial) -> Evaluation:
        raise self._error


@pytest.mark.parametrize(("error", "message"), RAISED, ids=lambda x: str(type(x)))
def test_whatever_an_objective_raises_is_in_the_log(
    error: BaseException, message: str, tmp_path: Path
) -> None:
    trial = Trial(0, {"x": 0.5})
    answer = evaluate(Raising(error), trial)
    assert answer.evaluation is not None
    with RunLog(tmp_path) as log:
        log.begin(Header.from_json(header_event()))
        log.append(Ask(1, [trial], 0.0, {}, 0.0))
        log.append(Evaluated(0, answer.evaluation, 0.0, answer.traceback))
    assert read(tmp_path / "log.jsonl").evaluations[0].error == message


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), BaseExceptionGroup("", [KeyboardInterrupt()])]
)
def test_an_interrupt_is_no_failed_evaluation(error: BaseException) -> None:
    with pytest.raises(type(error)):
        evaluate(Raising(error), Trial(0, {"x": 0.5}))


def test_a_failure_with_a_long_or_odd_error_is_kept() -> None:
    told = normalised(made(value=2.0, error="no \udcff" + "x" * 10**6))
    assert told.error is not None and told.error.startswith(r"no \udcff") and len(told.error) < 5000


def test_metrics_that_are_not_finite_are_left_out() -> None:
    assert normalised(Evaluation(1.0, 1.0, {"m": float("nan"), "n": 2.0})).metrics == {"n": 2.0}


def test_a_worker_keeps_the_threads_that_the_user_allows(tmp_path: Path) -> None:
    before = dict(os.environ)
    choice.processes(Good(), 2, None).close()
    assert dict(os.environ) == before
