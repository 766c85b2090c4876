"""CMA-ES starts from earlier tasks as WS-CMA-ES does, and Optuna's studies hold their trials."""

import numpy as np
import pytest
from optuna.trial import TrialState

from experiments.running.making import Problem, make_optimizer
from experiments.testing.conversation import MIXED, converse, earlier_tasks, floats, value
from experiments.testing.plug_ins import OptimizerYaml
from objectives.space import UnitCube
from objectives.trial import EarlierTask, Evaluation, Trial
from optimizers.cma_es import warm_start
from optimizers.optimizer import Optimizer
from optimizers.optuna_bridge import OptunaBridge
from optimizers.quantiles import promising, quantiles

FAILED = Evaluation(None, 0.0, {}, "failed")


def values(*numbers: float | None) -> list[Evaluation]:
    return [FAILED if number is None else Evaluation(number, 0.0) for number in numbers]


def made(name: str, *tasks: EarlierTask, seed: int = 1) -> Optimizer:
    settings = OptimizerYaml(name).settings_for(20)
    return make_optimizer(settings, Problem(floats(2), transfer=tasks), seed)


def test_a_quantile_is_the_middle_of_a_rank_and_ties_share_theirs() -> None:
    found = quantiles(values(30.0, 10.0, 20.0, 10.0))
    assert found is not None
    assert found.tolist() == [7 / 8, 2 / 8, 5 / 8, 2 / 8]  # ranks 4, (1 + 2) / 2, 3, 1.5


def test_a_failure_is_no_better_than_the_worst_success() -> None:
    found = quantiles(values(1.0, None, 2.0))
    assert found is not None
    assert found.tolist() == [1 / 6, 2 / 3, 2 / 3]
    assert quantiles(values(None, None)) is None


def test_the_gaussian_of_the_promising_region_by_hand() -> None:
    # Of 20 points the best two are (.2, .4) and (.4, .4): gamma = .1. So m* = (.3, .4), and with
    # alpha = .1 Sigma* = .01 I + diag(.01, 0) = diag(.02, .01). Its determinant is 2e-4, sigma is
    # the fourth root of it, and C = Sigma* / sigma^2 has the determinant 1.
    others = [(np.array([0.9, 0.9]), 0.5 + i / 100) for i in range(18)]
    known = [(np.array([0.2, 0.4]), 0.1), *others, (np.array([0.4, 0.4]), 0.2)]
    mean, sigma, covariance = warm_start(known)
    np.testing.assert_allclose(mean, [0.3, 0.4])
    assert sigma == pytest.approx(2e-4**0.25)
    np.testing.assert_allclose(sigma**2 * covariance, np.diag([0.02, 0.01]), atol=1e-12)
    assert np.linalg.det(covariance) == pytest.approx(1.0)


@pytest.mark.parametrize("n", [1, 3, 9, 49])
def test_at_least_one_point_is_promising(n: int) -> None:
    known = [(np.array([0.5, i / 100]), i / 100) for i in range(n)]
    mean, _, _ = warm_start(known)
    best = max(n // 10, 1)
    assert mean[1] == pytest.approx(np.mean([i / 100 for i in range(best)]))


def test_the_best_of_every_task_are_promising_whatever_the_scales() -> None:
    cube = UnitCube(floats(2))
    here, there = cube.config(np.array([0.1, 0.1])), cube.config(np.array([0.9, 0.9]))
    small = EarlierTask((here, there), tuple(values(1e-9, 2e-9)))
    large = EarlierTask((there, here), tuple(values(1e9, 2e9)))
    found = promising([small, large], cube)
    best = [point.round(6).tolist() for point, quantile in found if quantile == 0.25]
    assert best == [[0.1, 0.1], [0.9, 0.9]]


def test_the_first_generation_of_cma_es_is_drawn_around_the_best_of_an_earlier_task() -> None:
    cube = UnitCube(floats(2))
    configs = [cube.config(u) for u in np.random.default_rng(0).random((200, 2))]
    near = [value(floats(2), Trial(0, config), 0.85) for config in configs]
    task = EarlierTask(tuple(configs), tuple(Evaluation(y, 0.0) for y in near))
    points = [cube.point(trial.config) for trial in made("cma_es", task).ask(6)]
    assert np.abs(np.array(points) - 0.85).max() < 0.45
    assert np.abs(np.mean(points, axis=0) - 0.85).max() < 0.2


def test_a_given_configuration_does_not_move_a_warm_start() -> None:
    tasks = earlier_tasks(floats(2), 1)
    plain, given = made("cma_es", *tasks), made("cma_es", *tasks)
    given.tell(Trial(0, UnitCube(floats(2)).config(np.array([0.99, 0.99]))), Evaluation(-9.0, 1.0))
    assert [t.config for t in plain.ask(4)] == [t.config for t in given.ask(4)]


def test_cma_es_takes_earlier_tasks_on_a_space_with_choices() -> None:
    settings = OptimizerYaml("cma_es").settings_for(20)
    problem = Problem(MIXED, transfer=earlier_tasks(MIXED, 2))
    assert len(converse(make_optimizer(settings, problem, 1), lambda t: FAILED, 20)) == 20


def test_a_study_holds_earlier_told_and_pending_trials() -> None:
    space = floats(2)
    cube = UnitCube(space)
    configs = tuple(cube.config(np.array(u)) for u in ([0.1, 0.2], [0.3, 0.4], [0.5, 0.6]))
    bridge = made("tpe", EarlierTask(configs, tuple(values(7e6, None, 5e6))))
    assert isinstance(bridge, OptunaBridge)
    first, second = bridge.ask(2)
    bridge.tell(first, Evaluation(3.0, 1.0))
    bridge.ask(1)
    trials = bridge._study.get_trials()
    shown = [(trial.state, trial.value) for trial in trials]
    assert shown[:4] == [
        (TrialState.COMPLETE, 2 / 3),  # of 5e6, 7e6 and a failure that counts as 7e6
        (TrialState.COMPLETE, 2 / 3),
        (TrialState.COMPLETE, 1 / 6),
        (TrialState.COMPLETE, 1 / 2),  # the only evaluation of the run
    ]
    assert shown[4] == (TrialState.RUNNING, None)
    assert trials[4].params["x0"] == second.config["x0"]


def test_a_sampler_that_does_not_learn_from_earlier_trials_is_refused() -> None:
    settings = OptimizerYaml("optuna", ("sampler=CmaEsSampler",)).settings_for(20)
    problem = Problem(floats(2), transfer=earlier_tasks(floats(2), 1))
    with pytest.raises(ValueError, match="optuna.sampler: expected one that learns from earlier"):
        make_optimizer(settings, problem, 1)
