"""The run loop, with optimizers and objectives for the test."""

from pathlib import Path

import pytest
from ConfigSpace import ConfigurationSpace

from counting import DyingBranin
from experiments.running.events import Evaluated, Extended
from experiments.running.executors.executor import Executor
from experiments.running.executors.inline import Inline
from experiments.running.executors.processes import Processes
from experiments.running.header import Header
from experiments.running.history import History
from experiments.running.run_log import RunLog
from experiments.running.runner import run
from made_headers import header_event
from objectives.objective import Objective, Resources
from objectives.space import UnitCube, build_space
from objectives.trial import Evaluation, Fidelities, Trial
from optimizers.optimizer import Optimizer

SPACE = build_space({"x": {"type": "float", "lower": 0.0, "upper": 1.0}})


class Steps(Optimizer):
    """Asks for x = 0, step, 2 step, ... at one fidelity, and records what it was told."""

    def __init__(self, step: float = 1e-3, fidelity: float = 1.0, most: int = 10**6) -> None:
        super().__init__(SPACE, seed=0)
        self._step, self._fidelity, self._most = step, fidelity, most
        self.told: list[tuple[int, float | None]] = []

    def ask(self, n: int = 1) -> list[Trial]:
        n = min(n, self._most - self._n_trials)
        return [self._trial({"x": self._n_trials * self._step}, self._fidelity) for _ in range(n)]

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        self.told.append((trial.id, evaluation.value))


class Parabola(Objective):
    """(x - 0.005)^2, which can be made to fail or to return invalid values at some x."""

    space: ConfigurationSpace = SPACE

    def __init__(self, broken: float = -1.0, nan: float = -1.0) -> None:
        self._broken, self._nan = broken, nan
        self.evaluated: list[int] = []

    def evaluate(self, trial: Trial) -> Evaluation:
        self.evaluated.append(trial.id)
        x = trial.config["x"]
        assert isinstance(x, float)
        if x == self._broken:
            raise RuntimeError("it broke\nin two lines")
        return Evaluation(float("nan") if x == self._nan else (x - 0.005) ** 2, 0.0)

    def test(self, trial: Trial) -> dict[str, float]:
        return {"tested": 1.0}


class Thirds(Parabola):
    """The same at two fidelities."""

    fidelities = Fidelities((1 / 3, 1.0))


def _run(
    folder: Path, optimizer: Optimizer, objective: Objective, budget: float, workers: int = 1
) -> History:
    executor: Executor = Inline(objective)
    if workers > 1:
        executor = Processes(objective, workers)
    shares = None if objective.fidelities is None else list(objective.fidelities.grid)
    with RunLog(folder) as log:
        if log.history.header is None:
            about = header_event(budget=float(budget), fidelities=shares)
            log.begin(Header.from_json(about))
        elif budget > log.history.budget:
            log.append(Extended(budget, 1.0))
        try:
            run(optimizer, budget, log, executor, workers)
        finally:
            executor.close()
        return log.history


def test_the_budget_is_met_exactly_by_full_evaluations(tmp_path: Path) -> None:
    assert len(_run(tmp_path, Steps(), Parabola(), 7).evaluations) == 7


def test_a_third_of_an_evaluation_spends_a_third_of_the_budget(tmp_path: Path) -> None:
    history = _run(tmp_path, Steps(fidelity=1 / 3), Thirds(), 4)
    assert len(history.evaluations) == 12
    assert history.spent == pytest.approx(4)


def test_a_trial_that_would_overdraw_the_budget_is_not_evaluated(tmp_path: Path) -> None:
    assert len(_run(tmp_path, Steps(), Parabola(), 2.5).evaluations) == 2


def test_an_optimizer_that_has_no_more_to_ask_ends_the_run(tmp_path: Path) -> None:
    history = _run(tmp_path, Steps(most=3), Parabola(), 10)
    assert len(history.evaluations) == 3
    assert history.ended


def test_an_exception_becomes_a_failed_evaluation_with_its_traceback(tmp_path: Path) -> None:
    history = _run(tmp_path, Steps(), Parabola(broken=0.002), 4)
    assert history.evaluations[2].value is None
    assert history.evaluations[2].error == "RuntimeError: it broke in two lines"
    [event] = [e for e in history.events if isinstance(e, Evaluated) and e.traceback]
    assert event.traceback is not None and "in evaluate" in event.traceback


def test_a_value_that_is_no_number_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    history = _run(tmp_path, Steps(), Parabola(nan=0.001), 3)
    assert history.evaluations[1].error == "ValueError: value: expected a finite number, got nan"


def test_an_optimizer_is_told_each_evaluation_once(tmp_path: Path) -> None:
    optimizer = Steps()
    _run(tmp_path, optimizer, Parabola(), 5)
    assert [id for id, _ in optimizer.told] == [0, 1, 2, 3, 4]


def test_a_larger_budget_evaluates_the_difference_only(tmp_path: Path) -> None:
    _run(tmp_path, Steps(), Parabola(), 5)
    objective, optimizer = Parabola(), Steps()
    history = _run(tmp_path, optimizer, objective, 8)
    assert objective.evaluated == [5, 6, 7]
    assert len(optimizer.told) == len(history.evaluations) == 8


def test_the_incumbent_is_tested_once(tmp_path: Path) -> None:
    _run(tmp_path, Steps(), Parabola(), 6)
    history = _run(tmp_path, Steps(), Parabola(), 8)
    assert [test.id for test in history.tests()] == [5]  # x = 0.005, asked sixth


def test_a_drifting_replay_tells_the_logged_trials_and_says_so(tmp_path: Path) -> None:
    _run(tmp_path, Steps(), Parabola(), 4)
    optimizer = Steps(step=2e-3)
    history = _run(tmp_path, optimizer, Parabola(), 6)
    [drift] = history.drifts()
    assert drift.asked[0]["config"] == {"x": 0.002}
    assert drift.logged[0]["config"] == {"x": 0.001}
    assert sorted(id for id, _ in optimizer.told) == [0, 1, 2, 3, 4, 5]
    assert [history.trials[id].config["x"] for id in (3, 4)] == [0.003, 0.008]


def test_a_drift_that_a_log_tells_of_is_not_told_twice(tmp_path: Path) -> None:
    _run(tmp_path, Steps(), Parabola(), 4)
    _run(tmp_path, Steps(step=2e-3), Parabola(), 6)
    history = _run(tmp_path, Steps(step=2e-3), Parabola(), 8)
    assert len(history.drifts()) == 1


def test_workers_evaluate_the_same_trials(tmp_path: Path) -> None:
    one = _run(tmp_path / "one", Steps(), Parabola(), 12)
    two = _run(tmp_path / "two", Steps(), Parabola(), 12, workers=2)
    paid = {id: trial for id, trial in two.trials.items() if id not in two.refused}
    assert paid == one.trials
    assert {id: e.value for id, e in two.evaluations.items()} == {
        id: e.value for id, e in one.evaluations.items()
    }


def test_a_worker_that_dies_fails_its_own_trial_only(tmp_path: Path) -> None:
    objective = DyingBranin(path=str(tmp_path / "evaluated"), shift=0, space={})
    history = _run(tmp_path / "run", Diagonal(objective.space), objective, 8, workers=2)
    failed = {id: e.error for id, e in history.evaluations.items() if e.error is not None}
    assert failed == {3: "the evaluation ended its process 2 times, the last time: exit code 9"}


class Diagonal(Optimizer):
    """Asks points along the diagonal of any space."""

    def __init__(self, space: ConfigurationSpace) -> None:
        super().__init__(space, seed=0)
        self._cube = UnitCube(space)

    def ask(self, n: int = 1) -> list[Trial]:
        return [
            self._trial(self._cube.config([self._n_trials / 100] * self._cube.dim))
            for _ in range(n)
        ]

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        pass


def test_an_objective_that_cannot_share_its_host_refuses_workers() -> None:
    class Alone(Parabola):
        resources = Resources(whole_host=True)

    with pytest.raises(ValueError, match="workers: expected 1"):
        Processes(Alone(), 2)
