"""Facts of RGPE: losses and weights by hand; a copy keeps its weight, an opposite loses it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from experiments.running.making import Problem, make_optimizer
from experiments.testing.conversation import converse, floats
from experiments.testing.plug_ins import OptimizerYaml
from objectives.space import UnitCube
from objectives.trial import EarlierTask, Evaluation, Trial
from optimizers.gaussian_process import GaussianProcess
from optimizers.gp_bo import GaussianProcessOptimizer
from optimizers.rgpe import Ensemble, rank_weights, ranking_loss

SPACE = floats(3)
CUBE = UnitCube(SPACE)


def curved(u: NDArray[np.float64]) -> float:
    return float(((u - 0.3) ** 2).sum() + 0.3 * np.sin(5 * u[0]) * u[1])


def opposite(u: NDArray[np.float64]) -> float:
    return -curved(u)


def task(f: Callable[[NDArray[np.float64]], float], seed: int, n: int = 30) -> EarlierTask:
    points = np.random.default_rng(seed).random((n, CUBE.dim))
    configs = tuple(CUBE.config(u) for u in points)
    return EarlierTask(configs, tuple(Evaluation(f(CUBE.point(c)), 0.0) for c in configs))


def weights_after(n: int, *tasks: EarlierTask) -> NDArray[np.float64]:
    """Return the weights after `n` evaluations of `curved` at random points."""
    settings = OptimizerYaml("gp_bo").settings_for(n)
    optimizer = make_optimizer(settings, Problem(SPACE, transfer=tasks), seed=1)
    assert isinstance(optimizer, GaussianProcessOptimizer)

    for id, u in enumerate(np.random.default_rng(99).random((n, CUBE.dim))):
        optimizer.tell(Trial(id, CUBE.config(u)), Evaluation(curved(u), cost=1.0))
    optimizer.ask(2)  # one of them follows the models, which are fitted to all evaluations
    assert optimizer._earlier is not None
    return optimizer._earlier.weights


def test_the_loss_counts_the_pairs_in_the_wrong_order() -> None:
    y = np.array([1.0, 2.0, 3.0])
    # The draws order the points as y does, the other way round (6 ordered pairs of 3 points), and
    # with the first two exchanged (the pairs (1, 2) and (2, 1)).
    f = np.array([[0.0, 5.0, 9.0], [3.0, 2.0, 1.0], [2.0, 1.0, 3.0]])
    assert ranking_loss(f, y).tolist() == [0, 6, 2]


def test_the_loss_of_this_task_compares_a_left_out_draw_with_the_other_values() -> None:
    y = np.array([1.0, 2.0, 3.0])
    # f(x_1) = 2.5 is above y_2 = 2 but should be below it; it is below y_3. f(x_2) and f(x_3) are
    # on the right side of all others: 1 wrong pair.
    assert ranking_loss(np.array([[2.5, 2.0, 3.0]]), y, others=y[None]).tolist() == [1]


def test_the_weights_of_a_small_example_by_hand() -> None:
    # Draws in columns. Model 1 is the best in the first draw, ties with this task in the second and
    # is worse in the others. Model 2 has the median 6; the 95th percentile of this task's losses
    # (2, 2, 4, 4) is 4, so model 2 is left out although it is the best in the last draw.
    losses = np.array([[0, 2, 6, 4], [6, 6, 6, 0], [2, 2, 4, 4]])
    # Model 1: 1 + 1/2 + 0 + 1/2 = 2 of 4; this task: 0 + 1/2 + 1 + 1/2 = 2 of 4.
    assert rank_weights(losses).tolist() == [0.5, 0.0, 0.5]


def test_without_the_rule_against_dilution_many_bad_models_would_take_weight() -> None:
    rng = np.random.default_rng(0)
    bad, this = rng.integers(12, 35, (50, 256)), rng.integers(5, 20, (1, 256))
    losses = np.concatenate([bad, this])
    assert rank_weights(losses)[-1] == 1.0
    shares = (losses == losses.min(axis=0)).mean(axis=1)
    assert shares[:-1].sum() > 0.3


def test_the_ensemble_has_the_weighted_mean_and_the_squared_weights_for_its_variance() -> None:
    models = []
    for seed in (0, 1):
        gp = GaussianProcess(CUBE)
        one = task(curved, seed, 10)
        points = np.array([CUBE.point(config) for config in one.configs])
        gp.fit(points, np.array([e.value for e in one.evaluations], dtype=float), refit=True)
        models.append(gp)
    ensemble = Ensemble(models, np.array([0.25, 0.75]))
    x = models[0].features.of(np.random.default_rng(3).random((5, 3)))
    (m0, v0), (m1, v1) = (model.at(x) for model in models)
    mean, variance = ensemble.at(x)
    np.testing.assert_allclose(mean, 0.25 * m0 + 0.75 * m1)
    np.testing.assert_allclose(variance, v0 / 16 + 9 * v1 / 16)
    slopes, step = ensemble.slopes(x), 1e-6
    moved = ensemble.at(x + step * np.eye(3)[0])
    np.testing.assert_allclose(slopes.d_mean[:, 0], (moved[0] - mean) / step, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        slopes.d_variance[:, 0], (moved[1] - variance) / step, rtol=1e-2, atol=1e-5
    )


def test_a_joint_posterior_agrees_with_the_marginal_one() -> None:
    gp = GaussianProcess(CUBE)
    one = task(curved, 0, 12)
    u = np.array([CUBE.point(config) for config in one.configs])
    gp.fit(u, np.array([e.value for e in one.evaluations], dtype=float), refit=True)
    there = np.random.default_rng(1).random((6, 3))
    mean, covariance = gp.joint(there)
    marginal, sd = gp.posterior(there)
    np.testing.assert_allclose(mean, marginal)
    np.testing.assert_allclose(np.sqrt(covariance.diagonal()), sd, atol=1e-6)
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-10)


def test_a_copy_of_the_same_task_gets_nearly_all_weight() -> None:
    for n in (8, 15):
        assert weights_after(n, task(curved, 0))[0] > 0.95


def test_the_weight_of_an_opposite_task_becomes_zero() -> None:
    for n in (8, 15):
        assert weights_after(n, task(opposite, 0)).tolist() == [0.0, 1.0]


def test_a_copy_among_opposite_tasks_is_found() -> None:
    weights = weights_after(8, task(opposite, 0), task(curved, 1), task(opposite, 2))
    assert weights[0] == weights[2] == 0.0
    assert weights[1] > 0.95


def test_all_models_have_equal_weights_until_three_evaluations_are_told() -> None:
    assert weights_after(2, task(curved, 0), task(opposite, 1)).tolist() == [1 / 3] * 3


def test_the_first_trial_of_a_copy_is_near_the_earlier_task_s_minimum() -> None:
    settings = OptimizerYaml("gp_bo").settings_for(9)
    optimizer = make_optimizer(settings, Problem(SPACE, transfer=[task(curved, 0)]), seed=1)
    (first,) = optimizer.ask(1)
    seen = min(curved(u) for u in np.random.default_rng(5).random((1000, 3)))
    assert curved(CUBE.point(first.config)) < seen + 0.05


def test_a_task_without_a_success_changes_nothing() -> None:
    failed = EarlierTask((CUBE.config(np.full(3, 0.2)),), (Evaluation(None, 0.0, {}, "failed"),))
    settings = OptimizerYaml("gp_bo").settings_for(9)
    asked = [
        make_optimizer(settings, Problem(SPACE, transfer=tasks), seed=1).ask(3)
        for tasks in ((), (failed,))
    ]
    assert asked[0] == asked[1]


def test_after_failures_alone_the_design_and_then_the_space_are_filled() -> None:
    settings = OptimizerYaml("gp_bo").settings_for(9)
    optimizer = make_optimizer(settings, Problem(SPACE, transfer=[task(curved, 0)]), seed=1)
    trials = converse(optimizer, lambda trial: Evaluation(None, 1.0, {}, "failed"), 9)
    points = np.array([CUBE.point(trial.config) for trial in trials])
    assert points[1].tolist() == [0.5, 0.5, 0.5]  # the design's first point
    apart = np.abs(points[:, None] - points[None]).max(axis=2) + np.eye(9)
    assert apart.min() > 0.1


def test_a_misleading_task_costs_at_most_every_other_trial_of_the_design() -> None:
    settings = OptimizerYaml("gp_bo").settings_for(9)
    alone, misled = (
        make_optimizer(settings, Problem(SPACE, transfer=tasks), seed=1)
        for tasks in ((), (task(opposite, 0),))
    )

    def answer(trial: Trial) -> Evaluation:
        return Evaluation(curved(CUBE.point(trial.config)), cost=1.0)

    design = [trial.config for trial in converse(alone, answer, 4)]
    assert [trial.config for trial in converse(misled, answer, 8)][1::2] == design
